package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// bench is what all contestants share.
type bench struct {
	options
	dir       string // for binaries, logs and the broker's files; removed at the end
	broker    *process
	url       string // of the broker
	nc        *nats.Conn
	js        jetstream.JetStream
	api       *coreAPI
	sink      *traceSink
	templates templates
}

// contestant is one row of a table.
type contestant struct {
	name   string
	prefix events.Prefix // of its subjects and streams
	start  func(ctx context.Context, address string) (*process, error)
}

// binary is where open put the program of that name.
func (b *bench) binary(name string) string { return filepath.Join(b.dir, name) }

// open builds the contestants and starts what is around them.
func open(ctx context.Context, o options) (_ *bench, err error) {
	dir, err := os.MkdirTemp("", "factro-bridge-bench-")
	if err != nil {
		return nil, fmt.Errorf("working directory: %w", err)
	}
	b := &bench{options: o, dir: dir}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	for _, program := range []struct{ name, module, path string }{
		{"bridge", "../..", "./cmd/bridge"}, {"floor", ".", "./floor"}, {"peer", ".", "./peer"}, {"natsd", ".", "./natsd"},
	} {
		progress("building %s", program.name)
		// As released: static, and without the paths of this machine.
		build := exec.CommandContext(ctx, "go", "build", "-C", program.module, "-trimpath", "-o", b.binary(program.name), program.path)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s (run this in tests/bench): %w\n%s", program.name, err, out)
		}
	}
	if b.api, err = newCoreAPI(o.apiDelay); err != nil {
		return nil, err
	}
	if b.sink, err = newTraceSink(); err != nil {
		return nil, err
	}
	return b, b.startBroker(ctx)
}

func (b *bench) startBroker(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	b.url = "nats://" + address
	if b.broker, err = b.spawn(ctx, "natsd", nil, "--listen", address, "--dir", filepath.Join(b.dir, "streams")); err != nil {
		return err
	}
	err = b.broker.await(ctx, "connections", func(context.Context) error {
		b.nc, err = nats.Connect(b.url, nats.Name("bench"))
		return err
	})
	if err != nil {
		return err
	}
	// As many commands may be on their way as are ever offered at once.
	b.js, err = jetstream.New(b.nc, jetstream.WithPublishAsyncMaxPending(1024))
	return err
}

// close ends everything that open started. Nothing here is worth an error any more.
func (b *bench) close() {
	if b.nc != nil {
		b.nc.Close()
	}
	b.broker.stop()
	b.api.close()
	b.sink.close()
	_ = os.RemoveAll(b.dir)
}

// runRounds measures every contestant in each round. Each starts in turn, so that no one always profits or suffers from the
// place in the row.
func (b *bench) runRounds(ctx context.Context, part string, all []contestant,
	measure func(context.Context, contestant) (sample, error),
) (results, error) {
	out := results{}
	for _, c := range all {
		out.names = append(out.names, c.name)
	}
	for r := range b.rounds {
		row := make(map[string]sample, len(all))
		for i := range all {
			c := all[(r+i)%len(all)]
			s, err := measure(ctx, c)
			if err != nil && ctx.Err() == nil { // on a shared machine a port is taken, or the server stands still
				progress("%s round %d/%d %-28s again: %v", part, r+1, b.rounds, c.name, err)
				s, err = measure(ctx, c)
			}
			if err != nil {
				return out, fmt.Errorf("%s, %s, round %d: %w", part, c.name, r+1, err)
			}
			progress("%s round %d/%d %-28s %s", part, r+1, b.rounds, c.name, s)
			row[c.name] = s
		}
		out.rounds = append(out.rounds, row)
	}
	return out, nil
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("look for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// poll asks until it is so, at most for half a minute.
func poll(ctx context.Context, what string, every time.Duration, is func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ask, done := context.WithTimeout(ctx, 3*time.Second) // one question that gets no answer is not the end
		err := is(ask)
		done()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, errors.Join(context.Cause(ctx), err))
		case <-tick.C:
		}
	}
}

// progress tells on stderr how far we are.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

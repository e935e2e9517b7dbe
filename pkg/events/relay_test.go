package events_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// relay stands between a program and the API of JetStream, and can hold requests up.
type relay struct {
	// b is the broker by way of the relay, on a connection of its own.
	b *broker
	// seen are the subjects of the requests that came, once they were passed on or are held up.
	seen chan string

	mu   sync.Mutex
	held string // what the subjects of requests begin with that are held up; "" for none
	kept []*nats.Msg
}

func (b *broker) relay(t *testing.T) *relay {
	t.Helper()
	nc, _ := b.connect(t)
	js, err := jetstream.NewWithAPIPrefix(nc, "RELAY")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{b: &broker{Server: b.Server, nc: nc, js: js}, seen: make(chan string, 1024)}
	if _, err = b.nc.Subscribe("RELAY.>", func(m *nats.Msg) {
		r.mu.Lock()
		defer r.mu.Unlock()
		m.Subject = "$JS.API" + strings.TrimPrefix(m.Subject, "RELAY")
		if r.held != "" && strings.HasPrefix(m.Subject, r.held) {
			r.kept = append(r.kept, m)
		} else if err := b.nc.PublishMsg(m); err != nil && !errors.Is(err, nats.ErrConnectionClosed) { // which is the end of the test
			t.Error(err)
		}
		r.seen <- m.Subject
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.nc.Flush(); err != nil { // else a request may find nobody
		t.Fatal(err)
	}
	return r
}

// until waits for a request whose subject begins so.
func (r *relay) until(prefix string) {
	for !strings.HasPrefix(<-r.seen, prefix) { //nolint:revive // until it comes
	}
}

func (r *relay) hold(prefix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = prefix
}

func (r *relay) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.kept {
		_ = r.b.nc.PublishMsg(m)
	}
	r.held, r.kept = "", nil
}

// slowAnswers connects a program to the broker, with inboxes of that name, in such a way that what the broker says can be
// held up.
func (b *broker) slowAnswers(t *testing.T, inboxes string) (js jetstream.JetStream, hold, release func()) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var gate sync.RWMutex
	go func() {
		for {
			program, err := l.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.URL(), "nats://"))
			if err != nil {
				_ = program.Close()
				continue
			}
			go pipe(server, program, new(sync.RWMutex))
			go pipe(program, server, &gate)
		}
	}()
	nc, err := nats.Connect("nats://"+l.Addr().String(), nats.CustomInboxPrefix(inboxes))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return js, gate.Lock, gate.Unlock
}

// pipe copies while the gate is open.
func pipe(to io.WriteCloser, from io.ReadCloser, gate *sync.RWMutex) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		gate.RLock()
		_, err = to.Write(buf[:n])
		gate.RUnlock()
		if err != nil {
			return
		}
	}
}

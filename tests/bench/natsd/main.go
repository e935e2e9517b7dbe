// Command natsd is the NATS server of the benchmark: the same for all contestants, in a process of its own so that its
// work is not counted as theirs.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:4222", "`address` for clients")
	dir := flag.String("dir", "", "`directory` for the streams")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "natsd:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, dir string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	opts := &server.Options{ServerName: "bench", Host: host, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true}
	if opts.Port, err = strconv.Atoi(port); err != nil {
		return err
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("not ready at %s within 10 s", listen)
	}
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

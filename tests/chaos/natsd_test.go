package chaos

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsEnv makes a NATS server of the test program, in the directory that it names.
const natsEnv = "CHAOS_NATS_DIR"

const natsListens = "NATS listens on "

// serveNATS is the NATS server of a row. It ends with its standard input, so that nothing is left behind if the test is
// ended from outside.
func serveNATS(dir string) error {
	s, err := server.NewServer(&server.Options{
		ServerName: "chaos", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
		MaxPayload: 8 << 20,
	})
	if err != nil {
		return fmt.Errorf("NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		return errors.New("NATS server: not ready")
	}
	fmt.Fprintln(os.Stdout, natsListens+s.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with our parent
	go func() {
		time.Sleep(5 * time.Second) //nolint:forbidigo // the bound of its own end
		os.Exit(1)
	}()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// natsEnv makes a NATS server of a test program, with the configuration in the file that it names.
const natsEnv = "TEST_NATS_CONFIG"

const natsListens = "NATS listens on "

// ServedNATS is for the begin of a TestMain: if this process was started by NATS, it is a NATS server until its standard
// input ends, so that nothing is left behind if the tests are ended from outside. Then it returns true.
func ServedNATS() bool {
	file := os.Getenv(natsEnv)
	if file == "" {
		return false
	}
	if err := serveNATS(file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// serveNATS does without internal/natstest: the server is a process of its own, which a test can kill, so there is no test that
// could end it.
func serveNATS(file string) error {
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		return fmt.Errorf("NATS server: %w", err)
	}
	opts.NoLog, opts.NoSigs = true, true
	s, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(StartTimeout) {
		return errors.New("NATS server: not ready")
	}
	fmt.Fprintln(os.Stdout, natsListens+s.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with our parent
	go func() {
		time.Sleep(5 * time.Second)
		os.Exit(1)
	}()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// NATS starts a NATS server with a configuration, as a process of this test program; see ServedNATS. address is where it
// listens.
func NATS(o Options, config string) (p *Process, address string, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("path of this program: %w", err)
	}
	file := filepath.Join(o.Dir, o.Name+".conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, "", fmt.Errorf("configuration of the NATS server: %w", err)
	}
	o.Env = append(o.Env, natsEnv+"="+file)
	o.Up = func(line []byte) (ok bool) {
		text, ok := strings.CutPrefix(string(line), natsListens)
		if ok {
			address = text
		}
		return ok
	}
	p, err = Start(o, program)
	return p, address, err
}

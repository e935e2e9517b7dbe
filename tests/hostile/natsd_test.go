package hostile

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

// natsEnv makes a NATS server of the test program, with the configuration in the file that it names.
const natsEnv = "HOSTILE_NATS_CONFIG"

const natsListens = "NATS listens on "

// serveNATS is the NATS server of a row. It ends with its standard input, so that nothing is left behind if the test is
// ended from outside.
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

// natsSetting is what rows vary of the NATS server.
type natsSetting struct {
	maxFileStore int    // bytes; no limit of ours if zero
	maxPayload   int    // bytes; 8 MiB if zero
	config       string // further lines of its configuration, such as "authorization {…}"; $dir is the row's folder
}

// startNATS starts the server; after the first time on the same data and the same port.
func (w *world) startNATS() (err error) {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("path of this program: %w", err)
	}
	set, limit := w.set.nats, ""
	if set.maxPayload == 0 {
		set.maxPayload = 8 << 20
	}
	if set.maxFileStore > 0 {
		limit = fmt.Sprintf(", max_file_store: %d", set.maxFileStore)
	}
	file := filepath.Join(w.dir, "nats.conf")
	text := fmt.Sprintf("server_name: hostile\nlisten: %q\nmax_payload: %d\njetstream: {store_dir: %q%s}\n%s\n",
		w.natsAddress, set.maxPayload, filepath.Join(w.dir, "nats"), limit, strings.ReplaceAll(set.config, "$dir", w.dir))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configuration of the NATS server: %w", err)
	}
	w.nats, err = launch(w, "nats", []string{natsEnv + "=" + file}, func(line []byte) bool {
		return strings.HasPrefix(string(line), natsListens)
	}, program)
	return err
}

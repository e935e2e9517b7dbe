package dev

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
)

// devFiles are files with the configuration of "bridge dev" and its two secrets, so that other commands work with it as with any other
// bridge. They exist while it runs.
type devFiles struct {
	config, secret, key string // paths, absolute
	// fallbackReason says why they are not in the current folder; "" if they are.
	fallbackReason string
	written        map[string][]byte // by path
}

// Names of the files.
const (
	devConfigName = "dev.yaml"
	devSecretName = "dev.webhook-secret" //nolint:gosec // the name of its file
	devKeyName    = "dev.api-key"
)

// devHeader is the beginning of each dev.yaml. It identifies a file that an earlier "bridge dev" left behind.
const devHeader = `# "bridge dev" wrote this file and removes it when it ends. It is the configuration of the bridge that it runs. Other commands
# use that bridge with --config. Copy the file if you want to keep it.
`

// devSecret matches the secrets that "bridge dev" generates.
var devSecret = regexp.MustCompile(`^dev-[A-Z2-7]+\n$`)

// writeDevFiles writes the files for a bridge with these listeners into the current folder, or else into fallback. The current folder
// may be read-only, have other files with these names, or belong to another "bridge dev".
func writeDevFiles(ctx context.Context, d listeners, natsURL, fallback string) (*devFiles, error) {
	here, err := os.Getwd()
	if err == nil {
		var f *devFiles
		if f, err = writeDevFilesTo(ctx, here, d, natsURL); err == nil {
			return f, nil
		}
	}
	fallback, absErr := filepath.Abs(fallback)
	if absErr != nil {
		return nil, absErr
	}
	f, fallbackErr := writeDevFilesTo(ctx, fallback, d, natsURL)
	if fallbackErr != nil {
		return nil, fmt.Errorf("the configuration for other commands: %w", errors.Join(err, fallbackErr))
	}
	f.fallbackReason = err.Error()
	return f, nil
}

func writeDevFilesTo(ctx context.Context, dir string, d listeners, natsURL string) (*devFiles, error) {
	f := &devFiles{
		config: filepath.Join(dir, devConfigName), secret: filepath.Join(dir, devSecretName), key: filepath.Join(dir, devKeyName),
		written: map[string][]byte{},
	}
	if err := f.removeStale(ctx, d.http.Addr().String()); err != nil {
		return nil, err
	}
	config := fmt.Appendf(nil, `%s
roles: [ingress, egress, query, reconcile, mirror]
http: {listen: %q}
admin: {listen: %q}
nats:
  url: %q
  # NATS reserves the sizes at once: those of a demonstration fit on a small disk.
  max_bytes: {events: 64MiB, commands: 16MiB, results: 32MiB, dead: 32MiB, ledger: 32MiB, files: 64MiB, answers: 64MiB, originals: 32MiB, keys: 8MiB, state: 16MiB, changes: 16MiB}
shutdown_timeout: 5s
clouds:
  - name: %s
    webhook:
      header: X-Bridge-Key
      secrets: [{file: %q}]
    api:
      url: %q
      key: {file: %q}
`, devHeader, d.http.Addr(), d.admin.Addr(), natsURL, devCloud, f.secret, "http://"+d.sim.Addr().String()+"/api/core", f.key)
	for _, file := range []struct {
		path string
		text []byte
	}{
		{f.secret, []byte("dev-" + rand.Text() + "\n")},
		{f.key, []byte("dev-" + rand.Text() + "\n")},
		{f.config, config}, // last: when it exists, so do the others
	} {
		if err := writeNew(file.path, file.text); err != nil {
			return nil, errors.Join(err, f.remove())
		}
		f.written[file.path] = file.text
	}
	return f, nil
}

// removeStale removes the files of a "bridge dev" that was killed. The error says why files stay: they are not from "bridge dev", or in
// use. ownAddress is the webhook address of this process.
func (f *devFiles) removeStale(ctx context.Context, ownAddress string) error {
	config, err := os.ReadFile(f.config)
	switch {
	case errors.Is(err, fs.ErrNotExist): // the secrets may exist nevertheless
	case err != nil:
		return err
	case !bytes.HasPrefix(config, []byte(devHeader)):
		return fmt.Errorf("%s exists, and \"bridge dev\" did not write it", f.config)
	default:
		if at := inUse(ctx, f.config); at != "" && at != ownAddress {
			return fmt.Errorf("%s belongs to another \"bridge dev\", and its address %s is in use", f.config, at)
		}
	}
	var stale []string
	for _, path := range []string{f.secret, f.key} {
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case !devSecret.Match(text):
			return fmt.Errorf("%s exists, and \"bridge dev\" did not write it", path)
		}
		stale = append(stale, path)
	}
	if config != nil {
		stale = append(stale, f.config)
	}
	for _, path := range stale {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// inUse is the address in a configuration if a process listens there, otherwise "". "bridge dev" listens before it writes the files.
func inUse(ctx context.Context, file string) string {
	cfg, err := config.Load(file, nil)
	if err != nil {
		return "" // it was edited; no bridge runs with it
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", cfg.HTTP.Listen)
	if err != nil {
		return ""
	}
	_ = conn.Close() // nothing was sent
	return cfg.HTTP.Listen
}

// writeNew writes a file that must not exist yet, readable only for its owner.
func writeNew(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// remove removes the files, unless they were changed.
func (f *devFiles) remove() error {
	var errs []error
	for path, text := range f.written {
		now, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(now, text) {
			continue
		}
		if err == nil {
			err = os.Remove(path)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// shown is a file's path as a user types it in the current folder.
func (f *devFiles) shown(path string) string {
	if f.fallbackReason == "" {
		return filepath.Base(path)
	}
	return shellWord(path)
}

// value is the secret in one of the files.
func (f *devFiles) value(path string) string { return string(bytes.TrimSpace(f.written[path])) }

// listenErrorText is an error from listening in a few words.
func listenErrorText(err error) string {
	if errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) { // the NATS server returns only a text
		return "is taken"
	}
	if inner, ok := errors.AsType[*os.SyscallError](err); ok {
		err = inner.Err
	}
	return fmt.Sprintf("cannot be used (%v)", err)
}

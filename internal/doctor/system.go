package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/embedded"
)

// LocalDisk is the disk of this machine.
type LocalDisk struct{}

// Free is how many bytes are available in a directory.
func (LocalDisk) Free(dir string) (int64, error) { return embedded.FreeSpace(dir) }

// FileSystem is the name of the file system of a directory, or "" for an ordinary one.
func (LocalDisk) FileSystem(dir string) (string, error) { return fileSystem(dir) }

// dialTimeout bounds one connection to a collector.
const dialTimeout = 3 * time.Second

// Dial opens a connection to an address and closes it.
func Dial(ctx context.Context, address string, secure bool) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dial := (&net.Dialer{}).DialContext
	if secure {
		dial = (&tls.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	_ = conn.Close() // nothing was sent
	return nil
}

// hostAndPort is an address as two words.
func hostAndPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return strings.Join([]string{host, port}, " ")
}

package firsthour

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

var (
	asked       = flag.Bool("firsthour", false, "run the rows")
	binary      = flag.String("bridge", "", "`program` to test instead of one that is built now")
	transcripts = flag.String("transcripts", "", "`folder` to write what each row saw to")
	patience    = flag.Duration("patience", time.Minute, "how long a row waits for what it wants to see")
)

func TestMain(m *testing.M) {
	if process.ServedNATS() {
		return
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if !*asked {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "factro-bridge-firsthour-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if *binary == "" {
		*binary = filepath.Join(dir, "bridge")
		if err := process.Build(*binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

package field

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

var (
	asked  = flag.Bool("field", false, "run the rows")
	binary = flag.String("bridge", "", "`program` to test instead of one that is built now")
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
	dir, err := os.MkdirTemp("", "factro-bridge-field-")
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

package field

import (
	"flag"
	"os"
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
	return process.Suite("field", binary, m.Run)
}

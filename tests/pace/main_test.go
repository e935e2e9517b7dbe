package pace

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

var (
	measure = flag.Bool("pace", false, "measure; most cases take ten minutes")
	backlog = flag.Int("backlog", 5000, "how many commands wait in TestFull")
	bridge  = flag.String("bridge", "", "`program` to measure instead of one that is built now")
	logs    = flag.String("logs", "", "`directory` that keeps the logs of all processes")
)

func TestMain(m *testing.M) {
	if process.ServedNATS() {
		return
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if !*measure {
		return m.Run()
	}
	return process.Suite("pace", bridge, func() int {
		code := m.Run()
		fmt.Fprintln(os.Stdout, table.markdown())
		return code
	})
}

package firsthour

import (
	"flag"
	"os"
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
	return process.Suite("firsthour", binary, m.Run)
}

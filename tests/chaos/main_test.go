package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

var (
	form   = flag.String("chaos", "", "run the suite in this `form`: short or long")
	seed   = flag.Uint64("seed", 0, "`seed` of the faults' times; 0 takes one from the clock")
	bridge = flag.String("bridge", "", "`program` to test instead of one that is built now with the tag chaos")
	logs   = flag.String("logs", "", "`directory` that keeps the logs of all processes")
)

func TestMain(m *testing.M) {
	if process.ServedNATS() {
		return
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if *form == "" {
		return m.Run()
	}
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000_000)
	}
	fmt.Fprintf(os.Stdout, "seed %d\n", *seed)
	return process.Suite("chaos", bridge, func() int {
		started := time.Now()
		code := m.Run()
		if len(table.rows) > 0 {
			fmt.Fprintf(os.Stdout, "\n%s\nseed %d, %s form, %s\n", table.markdown(), *seed, *form, time.Since(started).Round(time.Second))
		}
		return code
	}, "-tags", "chaos")
}

package hostile

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/process"
)

var (
	form   = flag.String("hostile", "", "run the suite in this `form`: short or long")
	binary = flag.String("bridge", "", "`program` to test instead of one that is built now")
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
	return process.Suite("hostile", binary, func() int {
		started := time.Now()
		code := m.Run()
		if text := table.markdown(); text != "" {
			fmt.Fprintf(os.Stdout, "\n%s\n%s form, %s\n", text, *form, time.Since(started).Round(time.Second))
		}
		return code
	})
}

// attacking skips the test unless a form was asked for.
func attacking(t testing.TB) {
	t.Helper()
	switch *form {
	case "short", "long":
	case "":
		t.Skip("the hostile suite runs with -hostile=short or -hostile=long; make hostile and make hostile-long do it")
	default:
		t.Fatalf("-hostile=%s: want short or long", *form)
	}
}

// scale is a number of the short form or of the long one.
func scale(short, long int) int {
	if *form == "long" {
		return long
	}
	return short
}

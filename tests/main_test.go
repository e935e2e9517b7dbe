package tests

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// binary is the bridge, built once for all tests.
var binary string

// pace has the tests run that measure time.
// mirrorFor is how long people work in [TestMirrorRandom].
var mirrorFor = flag.Duration("mirror", 10*time.Second, "how long the random test of the mirror lasts")

var pace = flag.Bool("pace", false, "run the tests that measure time, too")

// atOnce is how many tests run at the same time: most of them wait for processes, and not for a processor.
const atOnce = 4

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if dir := os.Getenv(brokerDir); dir != "" {
		return serveBroker(dir)
	}
	if err := flag.Set("test.parallel", strconv.Itoa(max(atOnce, runtime.GOMAXPROCS(0)))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	flag.Parse() // the command line may say something else
	dir, err := os.MkdirTemp("", "factro-bridge-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "bridge")
	if err := build(binary, ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	crashing = sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "crashing")
		return path, build(path, "-tags=chaos")
	})
	return m.Run()
}

// crashing builds the bridge that dies where FACTRO_BRIDGE_CRASH says, once for all tests.
var crashing func() (path string, err error)

// build builds the bridge.
func build(path, option string) error {
	args := slices.DeleteFunc([]string{"build", raceFlag, option, "-o", path, "../cmd/bridge"}, func(s string) bool { return s == "" })
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build the bridge: %w\n%s", err, out)
	}
	return nil
}

package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What TestMain makes ready for all tests.
var (
	bridgeBinary string
	natsBinary   string // the stock nats command, at the version in natscli.mod
	// nodeAbsent says why the Node scripts cannot run, or is empty.
	nodeAbsent string
	// pythonAbsent says why the programs of docs/python.md cannot run, or is empty.
	pythonAbsent string
	// nkeysAbsent says why Python cannot use keys, or is empty.
	nkeysAbsent string
)

// nodeMajor is the oldest Node that the packages in js/package.json run on.
const nodeMajor = 20

// installTime bounds each preparation. Where nothing is cached, the nats command is compiled and npm packages come.
const installTime = 5 * time.Minute

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "factro-bridge-interop-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bridgeBinary, natsBinary = filepath.Join(dir, "bridge"), filepath.Join(dir, "nats")
	// The bridge is built in its own module, with its own dependencies and not with those of this one.
	if err := prepare("../..", "go", "build", "-o", bridgeBinary, "./cmd/bridge"); err != nil {
		return fail(err)
	}
	if err := prepare(".", "go", "build", "-modfile=natscli.mod", "-o", natsBinary, "github.com/nats-io/natscli/nats"); err != nil {
		return fail(err)
	}
	if nodeAbsent = lookForNode(); nodeAbsent == "" && !installed() {
		if err := prepare("js", "npm", "ci", "--no-progress"); err != nil {
			return fail(err)
		}
	}
	pythonAbsent, nkeysAbsent = lookForPython(pythonPackages), lookForPython("import nkeys")
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// prepare runs a command whose outcome the tests need.
func prepare(dir, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), installTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// lookForNode returns why there is no usable Node, or "".
func lookForNode() string {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is not installed"
		}
	}
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return fmt.Sprintf("node --version: %v", err)
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < nodeMajor {
		return fmt.Sprintf("node is %s, want %d or newer", version, nodeMajor)
	}
	return ""
}

// pythonPackages fails with what is missing. A nats-py that was not installed but lies on PYTHONPATH has no version.
const pythonPackages = `
import sys
if sys.version_info < (3, 9): sys.exit(f"Python is {sys.version.split()[0]}, want 3.9 or newer")
import jsonschema, nats
from importlib import metadata
try: version = metadata.version("nats-py")
except metadata.PackageNotFoundError: sys.exit()
if tuple(map(int, version.split(".")[:2])) < (2, 15): sys.exit(f"nats-py is {version}, want 2.15 or newer")
`

// lookForPython returns why there is no Python that runs the program, or "".
func lookForPython(program string) string {
	if _, err := exec.LookPath("python3"); err != nil {
		return "it is not installed"
	}
	out, err := exec.Command("python3", "-c", program).CombinedOutput()
	if err == nil {
		return ""
	}
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:] // the error, without the way that led to it
}

// installed tells whether the npm packages are those of the lock file: npm writes its own copy of it when it is done.
func installed() bool {
	want, err := os.Stat("js/package-lock.json")
	if err != nil {
		return false
	}
	got, err := os.Stat("js/node_modules/.package-lock.json")
	return err == nil && got.ModTime().After(want.ModTime())
}

package packages

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var asked = flag.Bool("packages", false, "build and install the packages")

// The packages of this commit, and the folder that they are in.
var built, deb, rpm string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if !*asked {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "factro-bridge-packages-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built = filepath.Join(dir, "built")
	if deb, rpm, err = build(built); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds the packages of this machine's architecture into a folder.
func build(dir string, env ...string) (deb, rpm string, err error) {
	cmd := exec.Command("bash", "-c", "umask ${MASK:-022}; exec ../../deploy/linux/build")
	cmd.Env = append(append(os.Environ(), "OUT="+dir), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("build the packages: %w\n%s", err, out)
	}
	for pattern, file := range map[string]*string{"*.deb": &deb, "*.rpm": &rpm} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) != 1 {
			return "", "", fmt.Errorf("%s: found %q, %w", pattern, found, err)
		}
		*file = found[0]
	}
	return deb, rpm, nil
}

// needed skips what nobody asked for.
func needed(t *testing.T) {
	t.Helper()
	if !*asked {
		t.Skip("only with -packages")
	}
}

// command runs a program of the system, which has to succeed, and returns what it says.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

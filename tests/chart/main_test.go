package chart

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/chart/schema"
	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

const (
	chartDir = "../../deploy/helm/factro-bridge"
	toolsMod = "../../tools/helm/go.mod"
	rootDir  = "../.."
	release  = "probe"
	// prepareTime bounds what is made before the tests. Where nothing is cached, Helm is compiled.
	prepareTime = 15 * time.Minute
	// commandTime bounds one run of a tool.
	commandTime = 3 * time.Minute
)

// What TestMain makes ready for all tests.
var (
	helm, kubeconform, unittest string
	bridge, natsServer          string // what the pods run
	schemas                     string // a folder
)

// How much was looked at, for the last lines.
var renderings, objects, pods atomic.Int64

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "factro-bridge-chart-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), prepareTime)
	defer cancel()

	began := time.Now()
	for name, path := range map[string]*string{"helm": &helm, "kubeconform": &kubeconform, "helm-unittest": &unittest} {
		if *path, err = tool(ctx, name); err != nil {
			return fail(err)
		}
	}
	for pkg, path := range map[string]*string{"./cmd/bridge": &bridge, "github.com/nats-io/nats-server/v2": &natsServer} {
		*path = filepath.Join(dir, strings.ReplaceAll(pkg, "/", "-"))
		if err := build(ctx, pkg, *path); err != nil {
			return fail(err)
		}
	}
	built := time.Since(began)

	began = time.Now()
	schemas = filepath.Join(dir, "schemas")
	kinds, err := writeSchemas(ctx, schemas)
	if err != nil {
		return fail(err)
	}
	fmt.Fprintf(os.Stdout, "chart: tools ready after %.1f s, schemas of %d kinds after another %.1f s\n",
		built.Seconds(), kinds, time.Since(began).Seconds())

	code := m.Run()
	fmt.Fprintf(os.Stdout, "chart: %d renderings of %d value files; %d objects checked against their schemas, %d pods against "+
		"the restricted standard\n", renderings.Load(), len(valueFiles()), objects.Load(), pods.Load())
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// tool builds a tool of tools/helm, or takes it from Go's cache, and says where it is.
func tool(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile="+toolsMod, "-n", name)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, log.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// build builds a command of the bridge's own module, or of one that it requires.
func build(ctx context.Context, pkg, path string) error {
	if out, err := exec.CommandContext(ctx, "go", "-C", rootDir, "build", "-o", path, pkg).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

func writeSchemas(ctx context.Context, folder string) (int, error) {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return 0, err
	}
	swagger, err := upstream.Swagger(ctx)
	if err != nil {
		return 0, err
	}
	crds, err := upstream.Definitions(ctx)
	if err != nil {
		return 0, err
	}
	return schema.Write(folder, swagger, crds)
}

// valueFiles are those that the chart brings along for this, each with what somebody might want.
func valueFiles() []string {
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*-values.yaml"))
	if err != nil {
		panic(err) // the pattern is wrong
	}
	return files
}

// run runs a tool and returns what it wrote to its standard output, and both outputs together.
func run(t *testing.T, stdin []byte, name string, args ...string) (string, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	// Nothing of the one who runs the tests: no repositories, no plugins, no cluster.
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home,
		"KUBECONFIG="+filepath.Join(home, "none"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return stdout.String(), stderr.String() + stdout.String(), err
}

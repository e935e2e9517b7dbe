//go:build kube

// Package kube installs the Helm chart in a real API server: kube-apiserver and etcd, built from their Go modules and
// started on loopback, with the custom resource definitions of KEDA, of the Gateway API and of the Prometheus operator.
// Every namespace enforces the restricted Pod Security standard. There are no nodes and no controllers, so nothing
// runs: what is asked is whether a cluster takes each object as it is, and again after an upgrade.
//
// Building Kubernetes takes a while, so it stands behind the build tag kube and its result is kept in the user's cache
// folder. "make kube" runs it.
package kube

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/tests/chart/upstream"
)

const (
	chartDir = "../../deploy/helm/factro-bridge"
	toolsMod = "../../tools/helm/go.mod"
	// buildTime bounds the building of Kubernetes, which two cores do in ten minutes if they have nothing else to do.
	buildTime = 50 * time.Minute
)

// What TestMain makes ready for all tests.
var (
	helm string
	api  *client
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "factro-bridge-kube-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), buildTime)
	defer cancel()

	began := time.Now()
	if helm, err = output(ctx, "go", "tool", "-modfile="+toolsMod, "-n", "helm"); err != nil {
		return fail(err)
	}
	programs, err := build(ctx)
	if err != nil {
		return fail(err)
	}
	fmt.Fprintf(os.Stdout, "kube: programs ready after %.1f s in %s\n", time.Since(began).Seconds(), programs)

	began = time.Now()
	servers, err := start(ctx, programs, dir)
	if err != nil {
		return fail(err)
	}
	defer servers.stop()
	api = servers.client
	fmt.Fprintf(os.Stdout, "kube: %s answers after %.1f s\n", api.version(ctx), time.Since(began).Seconds())

	began = time.Now()
	crds, err := upstream.Definitions(ctx)
	if err != nil {
		return fail(err)
	}
	if err := api.define(ctx, crds); err != nil {
		return fail(err)
	}
	fmt.Fprintf(os.Stdout, "kube: %d custom resource definitions established after %.1f s\n", len(crds), time.Since(began).Seconds())

	code := m.Run()
	fmt.Fprintf(os.Stdout, "kube: %d objects installed and upgraded, %d pods admitted by the restricted standard; at most %s in use\n",
		installed.Load(), admitted.Load(), servers.memory())
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// build returns the folder with kube-apiserver and etcd. Its name says what they were built from, so that an upgrade
// rebuilds them and nothing else does.
func build(ctx context.Context) (string, error) {
	sum := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "apiserver/main.go", "etcd/main.go"} {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		sum.Write(content)
	}
	_, _ = io.WriteString(sum, runtime.Version())
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "factro-bridge", "kube", hex.EncodeToString(sum.Sum(nil))[:16])
	if _, err := os.Stat(filepath.Join(dir, "apiserver")); err == nil {
		return dir, nil
	}
	fmt.Fprintln(os.Stdout, "kube: building kube-apiserver and etcd, once")
	// Under another name until both are there.
	half := fmt.Sprintf("%s.%d", dir, os.Getpid())
	defer os.RemoveAll(half) //nolint:errcheck // gone if all went well
	flags := "-s -w -X k8s.io/component-base/version.gitVersion=" + upstream.Kubernetes.Version
	if _, err := output(ctx, "go", "build", "-tags=kube", "-ldflags="+flags, "-o", half+"/",
		"./apiserver", "./etcd"); err != nil {
		return "", err
	}
	return dir, os.Rename(half, dir)
}

// output runs a command and returns what it said; its error has what it complained of.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, log.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

package dev

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestGoRun(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		"/tmp/go-build3408695508/b001/exe/bridge":                                                          true,
		"/var/cache/go-build/64/64b5ad3f63adcbe4989d86375492a7a11b0bb1fda0e5594bbadeae04602a9a1a-d/bridge": true, // from the second time on
		"./bridge": false, "bridge": false, "/usr/local/bin/bridge": false, "bin/exe/bridge": false,
	} {
		if got := byGoRun.MatchString(path); got != want {
			t.Errorf("%s: started by go run: %v, want %v", path, got, want)
		}
	}

	const module = "github.com/factro-bridge/factro-bridge"
	info := &debug.BuildInfo{Path: module + "/cmd/bridge", Main: debug.Module{Path: module, Version: "(devel)"}}
	root := t.TempDir()
	other := t.TempDir()
	for _, dir := range []string{"cmd/bridge", "docs/de"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for dir, name := range map[string]string{root: module, other: "example.com/other"} {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module "+name+"\n\ngo 1.26\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{
		root: "go run ./cmd/bridge", filepath.Join(root, "cmd"): "go run ./bridge", filepath.Join(root, "cmd/bridge"): "go run .",
		filepath.Join(root, "docs/de"): "go run ../../cmd/bridge", other: "go run " + module + "/cmd/bridge",
	} {
		if got := goRun(info, dir); got != want {
			t.Errorf("in %s: %s, want %s", strings.TrimPrefix(dir, root), got, want)
		}
	}
	info.Main.Version = "v1.2.3"
	if got, want := goRun(info, other), "go run "+module+"/cmd/bridge@v1.2.3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"./bridge": "./bridge", "/opt/my tools/bridge": "'/opt/my tools/bridge'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}

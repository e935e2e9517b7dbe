package dev

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

// started is how this program was started, as one would type it in the current folder: "go run ./cmd/bridge", "./bridge",
// or "bridge". It is for lines to copy.
func started() string {
	info, ok := debug.ReadBuildInfo()
	dir, err := os.Getwd()
	if ok && err == nil && byGoRun.MatchString(filepath.ToSlash(os.Args[0])) {
		return goRun(info, dir)
	}
	return shellWord(os.Args[0])
}

// byGoRun matches where "go run" puts the program that it builds: a temporary folder, and the build cache from the second time
// on.
var byGoRun = regexp.MustCompile(`/b[0-9]+/exe/[^/]+$|/[0-9a-f]{64}-d/[^/]+$`)

// goRun is the line by which "go run" finds this program from a folder.
func goRun(info *debug.BuildInfo, dir string) string {
	for root := dir; ; root = filepath.Dir(root) {
		text, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err != nil && root != filepath.Dir(root) {
			continue
		}
		folder := filepath.Join(root, strings.TrimPrefix(info.Path, info.Main.Path))
		from, relErr := filepath.Rel(dir, folder)
		if err != nil || relErr != nil || !bytes.HasPrefix(text, []byte("module "+info.Main.Path+"\n")) {
			break
		}
		if from = filepath.ToSlash(from); !strings.HasPrefix(from, ".") {
			from = "./" + from
		}
		return "go run " + shellWord(from)
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return "go run " + info.Path + "@" + v
	}
	return "go run " + info.Path
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// shellWord is a word as one types it in a shell.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

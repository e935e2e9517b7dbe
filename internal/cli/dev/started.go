package dev

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
)

// startedAs is the command that started this program, as a user types it in the current folder: "go run ./cmd/bridge", "./bridge", or
// "bridge". It is for commands to copy.
func startedAs() string {
	info, ok := debug.ReadBuildInfo()
	dir, err := os.Getwd()
	if ok && err == nil && byGoRun.MatchString(filepath.ToSlash(os.Args[0])) {
		return goRun(info, dir)
	}
	return shellWord(os.Args[0])
}

// byGoRun matches the path of a program that "go run" has built: a temporary folder, or from the second run on the build cache.
var byGoRun = regexp.MustCompile(`/b[0-9]+/exe/[^/]+$|/[0-9a-f]{64}-d/[^/]+$`)

// goRun is the "go run" command for this program in a folder.
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

// shellWord is a word, quoted for a shell if necessary.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

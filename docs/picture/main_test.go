package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// The picture that people see is the one that its source describes, and a browser can read it.
func TestPictureIsCurrent(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("bridge.txt")
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(string(source))
	if err != nil {
		t.Fatal(err)
	}
	got := draw(p)
	drawn, err := os.ReadFile("bridge.svg")
	if err != nil || string(drawn) != got {
		t.Errorf("bridge.svg is stale, %v: run \"go generate ./docs/picture\"", err)
	}
	texts := 0
	for d := xml.NewDecoder(strings.NewReader(got)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "text" {
			texts++
		}
	}
	if texts < 20 {
		t.Errorf("the picture has %d texts only", texts)
	}
}

func TestParseMistakes(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"no row":         "a | b | c\n",
		"a missing cell": "a | b | c\n-> | x\n",
		"no arrow":       "a | b | c\n=> | x | ->\n",
	} {
		if _, err := parse(source); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

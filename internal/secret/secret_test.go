package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestStringHidesItself(t *testing.T) {
	t.Parallel()
	const text = "a-real-secret"
	value := struct {
		Key    String `json:"key"`
		Source Source `json:"source"`
	}{text, Source{Value: text}}

	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("config", "config", value, "key", value.Key)
	marshalled, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	yamled, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"%v": fmt.Sprintf("%v", value), "%+v": fmt.Sprintf("%+v", value), "%#v": fmt.Sprintf("%#v", value),
		"%s": fmt.Sprintf("%s", value.Key), "%q": fmt.Sprintf("%q", value.Key), "%x": fmt.Sprintf("%x", value.Key),
		"json": string(marshalled), "yaml": string(yamled), "slog": logged.String(),
		"error": fmt.Errorf("key %v", value.Key).Error(),
	} {
		if strings.Contains(got, text) || strings.Contains(got, fmt.Sprintf("%x", text)) {
			t.Errorf("%s shows the secret: %s", name, got)
		}
		if !strings.Contains(got, hidden) {
			t.Errorf("%s does not tell that there is a secret: %s", name, got)
		}
	}
	if String(text).Reveal() != text {
		t.Error("Reveal does not reveal")
	}
}

// TestForm: what a file or a value may hold, and that a complaint quotes nothing of it.
func TestForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"geheim-1":               "geheim-1",
		" geheim 1\r\n":          "geheim 1",
		"\ufeffgeheim-1\n":       "geheim-1",
		"\xff\xfeg\x00e\x00":     "UTF-16",
		"g\x00e\x00h\x00e\x00":   "UTF-16",
		"geheim-1\ngeheim-2\n":   "several lines",
		"geheim-1\rgeheim-2":     "several lines",
		"geheim\t1":              "control character",
		"geheim\x7f1":            "control character",
		"geheim-ä":               "byte 8 begins a character that is not ASCII",
		"geheim-a\u0308":         "not ASCII",
		"geheim\u200b1":          "not ASCII",
		"“geheim-1”":             "not ASCII",
		"geheim-\xe4 in Latin 1": "not valid UTF-8",
		"\ufeff":                 "empty",
		" \n":                    "empty",
	} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for from, source := range map[string]Source{"file": {File: file}, "value": {Value: String(text)}} {
			got, err := NewReader(source, nil, "").Get()
			if source.Value != "" {
				if wrong := source.Validate(); (wrong == nil) != (err == nil) {
					t.Errorf("%q: it is read with %v and checked with %v", text, err, wrong)
				}
			}
			switch {
			case err == nil && got.Reveal() == want:
			case err == nil || got != "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "heim"):
				t.Errorf("%s %q: got %q, %v; want %s", from, text, got.Reveal(), err, want)
			}
		}
	}
}

// TestChecks: what a caller wants of a secret holds for files and values alike.
func TestChecks(t *testing.T) {
	t.Parallel()
	file, wrong := filepath.Join(t.TempDir(), "secret"), errors.New("too short")
	if err := os.WriteFile(file, []byte("geheim"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, source := range []Source{{File: file}, {Value: "geheim"}} {
		got, err := NewReader(source, nil, "", func(s String) error {
			if s.Reveal() != "geheim" {
				t.Errorf("it checks %q", s.Reveal())
			}
			return wrong
		}).Get()
		if got != "" || !errors.Is(err, wrong) {
			t.Errorf("got %q, %v", got.Reveal(), err)
		}
	}
}

func TestSourceValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		source Source
		ok     bool
	}{
		"file":    {Source{File: "f"}, true},
		"value":   {Source{Value: "v"}, true},
		"both":    {Source{File: "f", Value: "v"}, false},
		"neither": {Source{}, false},
	} {
		if err := tt.source.Validate(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

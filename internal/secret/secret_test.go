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
	"testing/synctest"
	"time"

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

func TestReaderFollowsTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r := NewReader(Source{File: file})
		if _, err := r.Get(); err == nil {
			t.Error("a missing file gives no error")
		}
		write(" first\n")
		if got, err := r.Get(); err != nil || got.Reveal() != "first" {
			t.Errorf("got %q, %v", got.Reveal(), err)
		}
		write("second")
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		if got, err := r.Get(); err != nil || got.Reveal() != "second" {
			t.Errorf("after rotation: %q, %v", got.Reveal(), err)
		}
		write("")
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		if got, err := r.Get(); err == nil || got.Reveal() != "second" {
			t.Errorf("with an empty file: %q, %v; want the last good value and an error", got.Reveal(), err)
		}
	})
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

// TestReaderOfAHangingFile: a file system that does not answer costs a caller a second, once, and never the last good value.
func TestReaderOfAHangingFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang, reads := make(chan struct{}), 0
		r := NewReader(Source{File: "f"})
		r.read = func(string) ([]byte, error) {
			if reads++; reads > 1 {
				<-hang
				return []byte("second"), nil
			}
			return []byte("first"), nil
		}
		if got, err := r.Get(); err != nil || got.Reveal() != "first" {
			t.Fatalf("got %q, %v", got.Reveal(), err)
		}
		time.Sleep(rereadAfter) //nolint:forbidigo // virtual time
		for _, want := range []time.Duration{patience, 0, 0} {
			began := time.Now()
			if got, err := r.Get(); !errors.Is(err, errHangs) || got.Reveal() != "first" {
				t.Errorf("while it hangs: %q, %v", got.Reveal(), err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("it took %s, want %s", took, want)
			}
		}
		close(hang)
		synctest.Wait()
		if got, err := r.Get(); err != nil || got.Reveal() != "second" || reads != 2 {
			t.Errorf("afterwards: %q, %v, %d reads", got.Reveal(), err, reads)
		}
	})
}

// TestReaderOfAnEndlessFile: what has no end is no secret.
func TestReaderOfAnEndlessFile(t *testing.T) {
	t.Parallel()
	if got, err := NewReader(Source{File: "/dev/zero"}).Get(); err == nil {
		t.Errorf("got %d bytes", len(got))
	}
}

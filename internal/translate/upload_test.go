package translate_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

type uploaded struct {
	name, contentType string
	data              []byte
}

// readUpload reads a multipart body as a server would; there has to be one part named file, and nothing else.
func readUpload(t testing.TB, call translate.Call) uploaded {
	t.Helper()
	kind, params, err := mime.ParseMediaType(call.ContentType)
	if err != nil || kind != "multipart/form-data" {
		t.Fatalf("content type %q: %v", call.ContentType, err)
	}
	r := multipart.NewReader(bytes.NewReader(call.Body), params["boundary"])
	part, err := r.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(part)
	if err != nil {
		t.Fatal(err)
	}
	// FileName would cut the path off.
	_, disposition, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition["name"] != "file" || len(part.Header) != 2 {
		t.Errorf("the part has %q: %v", part.Header, err)
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Errorf("another part: %v", err)
	}
	return uploaded{disposition["filename"], part.Header.Get("Content-Type"), data}
}

func TestUpload(t *testing.T) {
	t.Parallel()
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	plain := uploaded{"plan.txt", "text/plain", []byte("hallo")}
	for name, tt := range map[string]struct {
		change func(*uploaded)
		sent   func(*uploaded) // how the name or type arrives, if not as it is
	}{
		"as it is":            {change: func(*uploaded) {}},
		"umlauts":             {change: func(u *uploaded) { u.name = "Größenübersicht ß.pdf" }},
		"quotes":              {change: func(u *uploaded) { u.name = `der "Plan".pdf` }},
		"backslash":           {change: func(u *uploaded) { u.name = `a\b.pdf` }},
		"path":                {change: func(u *uploaded) { u.name = "../../etc/passwd" }},
		"semicolon":           {change: func(u *uploaded) { u.name = "a;b=c.pdf" }},
		"line ends in a name": {func(u *uploaded) { u.name = "a\r\nX-Evil: 1" }, func(u *uploaded) { u.name = "a%0D%0AX-Evil: 1" }},
		"line ends in a type": {func(u *uploaded) { u.contentType = "a/b\r\nX-Evil: 1" }, func(u *uploaded) { u.contentType = "a/bX-Evil: 1" }},
		"no type":             {func(u *uploaded) { u.contentType = "" }, func(u *uploaded) { u.contentType = "application/octet-stream" }},
		"empty":               {change: func(u *uploaded) { u.data = nil }},
		"binary":              {change: func(u *uploaded) { u.data = binary }},
		"looks like a part":   {change: func(u *uploaded) { u.data = []byte("\r\n--boundary--\r\n") }},
		"large":               {change: func(u *uploaded) { u.data = bytes.Repeat(binary, 4096) }},
	} {
		want := plain
		tt.change(&want)
		data := jsonOf(t, map[string]any{"taskId": "t", "file": map[string]any{
			"name": want.name, "contentType": want.contentType, "data": base64.StdEncoding.EncodeToString(want.data),
		}})
		call, err := translate.Command(lookup(t, "createTaskDocument"), data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tt.sent != nil {
			tt.sent(&want)
		}
		if got := readUpload(t, call); got.name != want.name || got.contentType != want.contentType || !bytes.Equal(got.data, want.data) {
			t.Errorf("%s: got %.200q, want %.200q", name, got, want)
		}
		if again, err := translate.Command(lookup(t, "createTaskDocument"), data); err != nil || !bytes.Equal(again.Body, call.Body) {
			t.Errorf("%s: the same file gives another body: %v", name, err)
		}
		if call.Target != "/tasks/t/documents" || call.EntityID != "t" || strings.Contains(call.ContentType, "text/plain") {
			t.Errorf("%s: got %s %s %s", name, call.Target, call.EntityID, call.ContentType)
		}
	}
}

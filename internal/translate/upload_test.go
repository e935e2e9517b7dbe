package translate_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

type uploaded struct {
	name, contentType string
	data              []byte
}

// readUpload takes the content out of a call that uploads it.
func readUpload(t testing.TB, call translate.Call) uploaded {
	t.Helper()
	u := call.Upload
	if u == nil || u.Object != nil || call.Body != nil || call.ContentType != "" {
		t.Fatalf("the call is %+v", call)
	}
	data, err := base64.StdEncoding.DecodeString(u.Data)
	if err != nil || u.Size != int64(len(data)) {
		t.Errorf("%d bytes are reported as %d: %v", len(data), u.Size, err)
	}
	return uploaded{u.Name, u.ContentType, data}
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
		"as it is":   {change: func(*uploaded) {}},
		"umlauts":    {change: func(u *uploaded) { u.name = "Größenübersicht ß.pdf" }},
		"quotes":     {change: func(u *uploaded) { u.name = `"; name="other` }},
		"longest":    {change: func(u *uploaded) { u.name = strings.Repeat("ä", 255) }},
		"parameters": {change: func(u *uploaded) { u.contentType = `text/plain; charset="utf-8"` }},
		"odd type":   {change: func(u *uploaded) { u.contentType = `a/b; c=" ~"` }},
		"long type":  {change: func(u *uploaded) { u.contentType = "a/" + strings.Repeat("b", 253) }},
		"no type":    {func(u *uploaded) { u.contentType = "" }, func(u *uploaded) { u.contentType = "application/octet-stream" }},
		"empty":      {change: func(u *uploaded) { u.data = nil }},
		"binary":     {change: func(u *uploaded) { u.data = binary }},
		"large":      {change: func(u *uploaded) { u.data = bytes.Repeat(binary, 4096) }},
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
		if call.Target != "/tasks/t/documents" || call.EntityID != "t" {
			t.Errorf("%s: got %s %s", name, call.Target, call.EntityID)
		}
	}
}

// TestUploadEscapes: some JSON writers escape every slash, and base64 has many slashes.
func TestUploadEscapes(t *testing.T) {
	t.Parallel()
	call, err := translate.Command(lookup(t, "createTaskDocument"), []byte(`{"taskId":"t","file":{"name":"a\u00fcb","data":"\/\/\/\/"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := readUpload(t, call); got.name != "aüb" || !bytes.Equal(got.data, []byte{0xff, 0xff, 0xff}) {
		t.Errorf("got %q", got)
	}
}

// TestUploadObject: whether the object is there is not looked at here, nor is its bucket.
func TestUploadObject(t *testing.T) {
	t.Parallel()
	for _, size := range []string{"", `,"size":5`} {
		data := `{"taskId":"t","file":{"name":"Maße.pdf","object":{"bucket":"FACTRO_FILES_ACME","name":"ü 1"` + size + `}}}`
		call, err := translate.Command(lookup(t, "createTaskDocument"), []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		u := call.Upload
		if u == nil || u.Object == nil || *u.Object != (events.ObjectRef{Bucket: "FACTRO_FILES_ACME", Name: "ü 1"}) || u.Data != "" ||
			u.Name != "Maße.pdf" || u.ContentType != "application/octet-stream" || call.Body != nil {
			t.Errorf("the call is %+v with %+v", call, u)
		}
	}
}

package ingress_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zlibbed(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func brotlied(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := brotli.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zstded(t testing.TB, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// TestContent: the data of an event is always JSON, whatever the encoding of its webhook.
func TestContent(t *testing.T) {
	t.Parallel()
	const text = `{"action":"TaskCreated","context":{"entityId":"t-1","title":"Prüfung"},"x":"` + marker + `"}`
	latin1 := strings.ReplaceAll(text, "ü", "\xfc")
	many := strings.Repeat(" ", 4096)
	for name, tt := range map[string]struct {
		body, contentType, encoding string
		status                      int
		dead                        bool
		says                        string // in the reason of a dead letter
	}{
		"byte order mark":     {body: "\xef\xbb\xbf" + text, status: 202},
		"gzip":                {body: gzipped(t, text), encoding: "gzip", status: 202},
		"br":                  {body: brotlied(t, text), encoding: "br", status: 202},
		"zstd":                {body: zstded(t, text), encoding: "zstd", status: 202},
		"two of them":         {body: gzipped(t, brotlied(t, text)), encoding: "br, gzip", status: 202},
		"more after deflate":  {body: zlibbed(t, text) + "more", encoding: "deflate", status: 400, dead: true, says: "behind its end"},
		"more after gzip":     {body: gzipped(t, text) + "more", encoding: "gzip", status: 400, dead: true, says: "gzip"},
		"two gzips":           {body: gzipped(t, text[:9]) + gzipped(t, text[9:]), encoding: " GZIP ", status: 202},
		"identity":            {body: text, encoding: "identity", status: 202},
		"a charset":           {body: latin1, contentType: "application/json; charset=iso-8859-1", status: 202},
		"both":                {body: gzipped(t, latin1), contentType: "application/json; charset=latin1", encoding: "gzip", status: 202},
		"a bomb":              {body: gzipped(t, text+many), encoding: "gzip", status: 413},
		"a larger charset":    {body: `{"action":"A","x":"` + strings.Repeat("\xfc", 900) + `"}`, contentType: "a/b; charset=latin1", status: 413},
		"unknown encoding":    {body: text, encoding: "compress", status: 415, dead: true, says: "gzip, deflate, br, zstd"},
		"unknown charset":     {body: text, contentType: "application/json; charset=x-unknown", status: 415, dead: true, says: "x-unknown"},
		"not what it says":    {body: text, encoding: "gzip", status: 400, dead: true, says: "gzip"},
		"no charset declared": {body: latin1, status: 400, dead: true, says: "not UTF-8"},
		"another one is":      {body: latin1, contentType: "application/json; charset=utf-8", status: 400, dead: true, says: "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &memoryStore{}
			s, _ := newServer(t, config(), store)
			r := request(t, tt.body)
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			if tt.encoding != "" {
				r.Header.Set("Content-Encoding", tt.encoding)
			}
			got := answer(t, s, r)
			wantStatus(t, got, tt.status)
			if tt.status == 202 && (len(store.stored()) != 1 || string(store.stored()[0].event.Data()) != text) {
				t.Errorf("stored is %+v", store.stored())
			}
			if (tt.status == 415) != (got.header.Get("Accept-Encoding") != "") {
				t.Errorf("%d has Accept-Encoding %q", tt.status, got.header.Get("Accept-Encoding"))
			}
			if all := store.deadLetters(); tt.dead {
				if len(all) != 1 || string(all[0].data) != tt.body || !strings.Contains(all[0].reason, tt.says) ||
					all[0].request.Get("Content-Type") != r.Header.Get("Content-Type") || all[0].request.Get("Content-Encoding") != tt.encoding {
					t.Errorf("the dead letters are %+v", all)
				}
			} else if len(all) != 0 {
				t.Errorf("the dead letters are %+v", all)
			}
		})
	}
}

// TestDeadLettersHaveNoSecrets: the headers in a dead letter contain no secret.
func TestDeadLettersHaveNoSecrets(t *testing.T) {
	t.Parallel()
	store := &memoryStore{}
	s, _ := newServer(t, config(), store)
	r := request(t, "no JSON")
	for name, value := range map[string]string{
		"Authorization": "Bearer " + confidential, "Cookie": confidential, "X-Api-Key": confidential, "X-Other": "x " + otherSecret,
		"X-Copy": newSecret, "User-Agent": "factro", "X-Large": strings.Repeat("x", 5000),
	} {
		r.Header.Set(name, value)
	}
	wantStatus(t, answer(t, s, r), 400)
	all := store.deadLetters()
	if len(all) != 1 {
		t.Fatalf("the dead letters are %+v", all)
	}
	want := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"factro"}}
	if len(all[0].request) != len(want) || all[0].request.Get("User-Agent") != "factro" || all[0].request.Get("Content-Type") != "application/json" {
		t.Errorf("kept are %v, want %v", all[0].request, want)
	}
}

// TestUnpackedMemoryIsCharged: the memory for decompressing a small body is charged to its cloud.
func TestUnpackedMemoryIsCharged(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.MaxBody, cfg.MaxMemory = 256<<10, 2*(2*256<<10+64<<10)
	s, _ := newServer(t, cfg, &memoryStore{})
	r := request(t, gzipped(t, `{"action":"A"}`+strings.Repeat(" ", 200<<10)))
	r.Header.Set("Content-Encoding", "gzip")
	wantStatus(t, answer(t, s, r), 202)
}

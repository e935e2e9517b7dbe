package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

const scrubbedKey = `eyJ/a+b=&"c\d<e>.A_very-secret`

// encodings are the ways in which a key may come back, each within something else.
func encodings(key string) map[string]string {
	escaped, _ := json.Marshal(key)
	inJSON := string(escaped[1 : len(escaped)-1])
	units, percents, entities := "", "", ""
	for i := range len(key) {
		units += fmt.Sprintf(`\u%04X`, key[i])
		percents += fmt.Sprintf("%%%02x", key[i])
		entities += fmt.Sprintf("&#x%02x;", key[i])
	}
	all := map[string]string{
		"plain": key, "JSON": inJSON, "JSON, slashes": strings.ReplaceAll(inJSON, "/", `\/`), "JSON, all of it": units,
		"percent": url.QueryEscape(key), "percent, path": url.PathEscape(key), "percent, all of it": percents,
		"HTML": html.EscapeString(key), "HTML, all of it": entities,
		"hex": hex.EncodeToString([]byte(key)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(key))),
	}
	for before := range 3 {
		for name, enc := range map[string]*base64.Encoding{
			"std": base64.StdEncoding, "raw std": base64.RawStdEncoding, "URL": base64.URLEncoding, "raw URL": base64.RawURLEncoding,
		} {
			for after := range 3 {
				text := enc.EncodeToString([]byte("xyz"[:before] + key + "xyz"[:after]))
				at := fmt.Sprintf(", %d before, %d after", before, after)
				all["base64 "+name+at] = text
				all["base64 "+name+" in JSON"+at] = strings.ReplaceAll(text, "/", `\/`)
				all["base64 "+name+" in a URL"+at] = url.QueryEscape(text)
				all["base64 "+name+" in lines"+at] = text[:20] + "\r\n" + text[20:]
			}
		}
	}
	return all
}

// leak returns what is left of a key in a text: the longest part of any of its encodings.
func leak(text, encoded string) string {
	most := ""
	for i := range len(encoded) {
		for n := len(most) + 1; i+n <= len(encoded) && strings.Contains(text, encoded[i:i+n]); n++ {
			most = encoded[i : i+n]
		}
	}
	return most
}

// TestScrub: no encoding of a secret gets through, however the stream is cut.
func TestScrub(t *testing.T) {
	t.Parallel()
	s := NewScrubber("another-secret", scrubbedKey)
	for name, encoded := range encodings(scrubbedKey) {
		text := "token: " + encoded + "; ende"
		want := s.Text(text)
		// At the edges of base64 are characters that neighbours are written with, and padding.
		if left := leak(want, encoded); strings.HasPrefix(name, "base64") && (len(left) > len("R4eQ%3D%3D") || !strings.Contains(want, "[hidden]")) ||
			!strings.HasPrefix(name, "base64") && want != "token: [hidden]; ende" {
			t.Errorf("%s: %q is left of %q: %q", name, left, text, want)
		}
		for _, r := range []io.Reader{
			iotest.OneByteReader(strings.NewReader(text)), iotest.HalfReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text)),
		} {
			if got, err := io.ReadAll(s.Reader(r)); err != nil || string(got) != want {
				t.Errorf("%s: as a stream it is %q, %v, want %q", name, got, err, want)
			}
		}
		for cut := range len(text) {
			got, err := io.ReadAll(s.Reader(io.MultiReader(strings.NewReader(text[:cut]), strings.NewReader(text[cut:]))))
			if err != nil || string(got) != want {
				t.Fatalf("%s: cut at %d it is %q, %v, want %q", name, cut, got, err, want)
			}
		}
	}
}

// TestScrubKeeps: what is not a secret stays as it is, and the error of the stream does.
func TestScrubKeeps(t *testing.T) {
	t.Parallel()
	s := NewScrubber(scrubbedKey, "short", "")
	for _, text := range []string{
		"", "short", scrubbedKey[:len(scrubbedKey)-1], `{"a":"\u0065\n\\\"","b":[1,2.5e3]}`, "100 % & more; &amp; %zz &#x; \\", "eyJ/a+b", strings.Repeat("e", 100_000),
		`\`, `\u`, `\u00`, "%", "%6", "&", "&#", "ümläut",
	} {
		if got := s.Text(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
		got, err := io.ReadAll(s.Reader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF))))
		if string(got) != text || err != io.ErrUnexpectedEOF { //nolint:errorlint // exactly this
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
	if got := (*Scrubber)(nil).Text("text"); got != "text" {
		t.Errorf("without secrets: %q", got)
	}
}

// TestScrubNumber: a key of digits in the place of a number leaves a number.
func TestScrubNumber(t *testing.T) {
	t.Parallel()
	s := NewScrubber("1234567890")
	if got := s.Text(`{"a":1234567890,"b":-1234567890.5,"c":"x1234567890"}`); !json.Valid([]byte(got)) || strings.Contains(got, "1234567890") {
		t.Errorf("it became %s", got)
	}
}

// TestScrubJSON: JSON stays JSON, whatever stands around a secret.
func TestScrubJSON(t *testing.T) {
	t.Parallel()
	keys := []string{"nabcdefgh", "0065yJxxxxxx", "u0065abcdefgh", "12345E67"}
	parts := append([]string{`\`, `\\`, `\"`, `\/`, `\n`, `\u`, `\u0065yJ`, `\u000a`, "0", "e", "%", "%6", "&", "&#", ";", "u", "n", "ü", "\U0001f600"}, keys...)
	dice := rand.New(rand.NewPCG(1, 2))
	s := NewScrubber("nabcdefgh", "0065yJxxxxxx", "u0065abcdefgh", "12345E67")
	for range 50_000 {
		text := ""
		for range 1 + dice.IntN(6) {
			text += parts[dice.IntN(len(parts))]
		}
		doc := []byte(`{"a":["` + text + `",1]}`)
		if !json.Valid(doc) {
			if doc, _ = json.Marshal(text); doc == nil {
				continue
			}
		}
		got, err := io.ReadAll(s.Reader(iotest.HalfReader(bytes.NewReader(doc))))
		if err != nil || !json.Valid(got) {
			t.Fatalf("%s became %s: %v", doc, got, err)
		}
	}
}

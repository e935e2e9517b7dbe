package translate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

const umlauts = `{"action":"TaskCreated","context":{"entityId":"t-1","title":"Prüfung für Ömer"}}`

// packed is a text as a sender would send it.
func packed(t testing.TB, name string, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch name {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&out)
	case "zlib":
		w = zlib.NewWriter(&out)
	case "flate":
		w, err = flate.NewWriter(&out, flate.BestCompression)
	case "br":
		w = brotli.NewWriter(&out)
	case "zstd":
		w, err = zstd.NewWriter(&out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func utf16(t testing.TB, order unicode.Endianness, bom unicode.BOMPolicy, text string) []byte {
	t.Helper()
	out, err := unicode.UTF16(order, bom).NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// latin1 is the text with umlauts in ISO 8859-1.
func latin1() []byte {
	var out []byte
	for _, r := range umlauts {
		out = append(out, byte(r))
	}
	return out
}

func TestContent(t *testing.T) {
	t.Parallel()
	plain := []byte(umlauts)
	for name, tt := range map[string]struct {
		content translate.Content
		raw     []byte
	}{
		"nothing said":         {translate.Content{}, plain},
		"JSON":                 {translate.Content{Type: "application/json"}, plain},
		"UTF-8":                {translate.Content{Type: `application/json; charset="UTF-8"`}, plain},
		"identity":             {translate.Content{Encodings: []string{"identity"}}, plain},
		"gzip":                 {translate.Content{Encodings: []string{"GZIP"}}, packed(t, "gzip", plain)},
		"x-gzip":               {translate.Content{Encodings: []string{"x-gzip"}}, packed(t, "gzip", plain)},
		"deflate with zlib":    {translate.Content{Encodings: []string{"deflate"}}, packed(t, "zlib", plain)},
		"deflate, bare":        {translate.Content{Encodings: []string{"deflate"}}, packed(t, "flate", plain)},
		"br":                   {translate.Content{Encodings: []string{"br"}}, packed(t, "br", plain)},
		"zstd":                 {translate.Content{Encodings: []string{"zstd"}}, packed(t, "zstd", plain)},
		"a list":               {translate.Content{Encodings: []string{"br, gzip"}}, packed(t, "gzip", packed(t, "br", plain))},
		"two headers":          {translate.Content{Encodings: []string{"zstd", "identity, gzip"}}, packed(t, "gzip", packed(t, "zstd", plain))},
		"ISO 8859-1":           {translate.Content{Type: "application/json;charset=ISO-8859-1"}, latin1()},
		"latin1, compressed":   {translate.Content{Type: "text/json; charset=latin1", Encodings: []string{"gzip"}}, packed(t, "gzip", latin1())},
		"UTF-16 by its mark":   {translate.Content{Type: "application/json"}, utf16(t, unicode.LittleEndian, unicode.UseBOM, umlauts)},
		"UTF-16 BE, its mark":  {translate.Content{Type: "application/json; charset=utf-8"}, utf16(t, unicode.BigEndian, unicode.UseBOM, umlauts)},
		"UTF-16 BE, declared":  {translate.Content{Type: "application/json; charset=utf-16be"}, utf16(t, unicode.BigEndian, unicode.IgnoreBOM, umlauts)},
		"a charset by command": {translate.Content{Type: "application/json", Charset: "windows-1252"}, latin1()},
	} {
		got, err := tt.content.Decode(tt.raw, 1<<10, nil)
		if err != nil || string(got) != umlauts {
			t.Errorf("%s: got %q: %v", name, got, err)
		}
		e, err := translate.Webhook(got, receipt())
		if err != nil || e.EntityID != "t-1" {
			t.Errorf("%s is no event: %v", name, err)
		}
		if tt.content.AsIs(tt.raw) && !bytes.Equal(tt.raw, plain) {
			t.Errorf("%s is said to stay as it is", name)
		}
	}
}

func TestContentRefused(t *testing.T) {
	t.Parallel()
	plain := []byte(umlauts)
	large := bytes.Repeat([]byte(" "), 1<<20)
	withTail := packed(t, "gzip", plain)
	for name, tt := range map[string]struct {
		content translate.Content
		raw     []byte
		is      error // nil: damaged
		want    string
	}{
		"unknown encoding":     {translate.Content{Encodings: []string{"compress"}}, plain, translate.ErrUnsupportedContent, "gzip, deflate, br, zstd"},
		"too many encodings":   {translate.Content{Encodings: []string{"br,br,br,br,br"}}, plain, translate.ErrUnsupportedContent, "at most 4"},
		"unknown charset":      {translate.Content{Type: "application/json; charset=klingon"}, plain, translate.ErrUnsupportedContent, "klingon"},
		"a charset for no one": {translate.Content{Type: "application/json; charset=iso-2022-kr"}, plain, translate.ErrUnsupportedContent, "iso-2022-kr"},
		"gzip bomb":            {translate.Content{Encodings: []string{"gzip"}}, packed(t, "gzip", large), translate.ErrContentTooLarge, "1024"},
		"deflate bomb":         {translate.Content{Encodings: []string{"deflate"}}, packed(t, "flate", large), translate.ErrContentTooLarge, "1024"},
		"zlib bomb":            {translate.Content{Encodings: []string{"deflate"}}, packed(t, "zlib", large), translate.ErrContentTooLarge, "1024"},
		"br bomb":              {translate.Content{Encodings: []string{"br"}}, packed(t, "br", large), translate.ErrContentTooLarge, "1024"},
		"zstd bomb":            {translate.Content{Encodings: []string{"zstd"}}, packed(t, "zstd", large), translate.ErrContentTooLarge, "1024"},
		"a bomb in a bomb":     {translate.Content{Encodings: []string{"gzip, gzip"}}, packed(t, "gzip", packed(t, "gzip", large)), translate.ErrContentTooLarge, ""},
		"grown by its charset": {translate.Content{Type: "a/b; charset=latin1"}, bytes.Repeat([]byte{0xe4}, 600), translate.ErrContentTooLarge, "1024"},
		"not gzip":             {translate.Content{Encodings: []string{"gzip"}}, plain, nil, "gzip"},
		"not deflate":          {translate.Content{Encodings: []string{"deflate"}}, plain, nil, "deflate"},
		"not br":               {translate.Content{Encodings: []string{"br"}}, plain, nil, "br"},
		"not zstd":             {translate.Content{Encodings: []string{"zstd"}}, plain, nil, "zstd"},
		"gzip of nothing":      {translate.Content{Encodings: []string{"gzip"}}, nil, nil, "gzip"},
		"gzip, cut off":        {translate.Content{Encodings: []string{"gzip"}}, withTail[:len(withTail)-9], nil, "gzip"},
		"gzip, wrong sum":      {translate.Content{Encodings: []string{"gzip"}}, append(bytes.Clone(withTail[:len(withTail)-8]), 1, 2, 3, 4, 5, 6, 7, 8), nil, "gzip"},
		"half UTF-16":          {translate.Content{}, []byte("\xff\xfea"), nil, "utf-16le"},
		"a lone surrogate":     {translate.Content{}, []byte("\xff\xfe\x00\xd8a\x00"), nil, "utf-16le"},
		"not Shift JIS":        {translate.Content{Type: "a/b; charset=shift_jis"}, []byte("\x81"), nil, "shift_jis"},
	} {
		got, err := tt.content.Decode(tt.raw, 1<<10, nil)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %.80q and %v, want %v with %q", name, got, err, tt.is, tt.want)
		}
		if tt.is == nil && (errors.Is(err, translate.ErrContentTooLarge) || errors.Is(err, translate.ErrUnsupportedContent)) {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// TestContentAsksForMemory: what is unpacked is charged before it is there.
func TestContentAsksForMemory(t *testing.T) {
	t.Parallel()
	large := packed(t, "gzip", bytes.Repeat([]byte(" "), 1<<20))
	asked := int64(0)
	out, err := translate.Content{Encodings: []string{"gzip"}}.Decode(large, 2<<20, func(n int64) bool { asked += n; return true })
	if err != nil || asked < int64(cap(out)) || asked > 2<<20+1 {
		t.Errorf("%d bytes were asked for, %d are used: %v", asked, cap(out), err)
	}
	asked = 0
	_, err = translate.Content{Encodings: []string{"gzip"}}.Decode(large, 2<<20, func(n int64) bool { asked += n; return asked < 64<<10 })
	if !errors.Is(err, translate.ErrNoRoom) {
		t.Errorf("without memory: %v", err)
	}
}

func FuzzContent(f *testing.F) {
	for _, name := range []string{"gzip", "zlib", "flate", "br", "zstd"} {
		f.Add(packed(f, name, []byte(umlauts)), name, "application/json")
	}
	f.Add([]byte("\xff\xfe{\x00"), "", "application/json; charset=utf-16")
	f.Add(latin1(), "", "application/json; charset=latin1")
	f.Fuzz(func(t *testing.T, raw []byte, encoding, contentType string) {
		kept := bytes.Clone(raw)
		out, err := translate.Content{Type: contentType, Encodings: []string{encoding}}.Decode(raw, 1<<16, nil)
		if !bytes.Equal(raw, kept) {
			t.Fatal("the body was changed")
		}
		if err == nil && len(out) > 1<<16 && len(out) > len(raw) {
			t.Errorf("%d bytes came out", len(out))
		}
	})
}

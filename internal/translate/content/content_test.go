package content

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
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

func TestDecode(t *testing.T) {
	t.Parallel()
	plain := []byte(umlauts)
	for name, tt := range map[string]struct {
		headers Headers
		raw     []byte
	}{
		"nothing said":         {Headers{}, plain},
		"JSON":                 {Headers{Type: "application/json"}, plain},
		"UTF-8":                {Headers{Type: `application/json; charset="UTF-8"`}, plain},
		"identity":             {Headers{Encodings: []string{"identity"}}, plain},
		"gzip":                 {Headers{Encodings: []string{"GZIP"}}, packed(t, "gzip", plain)},
		"x-gzip":               {Headers{Encodings: []string{"x-gzip"}}, packed(t, "gzip", plain)},
		"deflate with zlib":    {Headers{Encodings: []string{"deflate"}}, packed(t, "zlib", plain)},
		"deflate, bare":        {Headers{Encodings: []string{"deflate"}}, packed(t, "flate", plain)},
		"br":                   {Headers{Encodings: []string{"br"}}, packed(t, "br", plain)},
		"zstd":                 {Headers{Encodings: []string{"zstd"}}, packed(t, "zstd", plain)},
		"a list":               {Headers{Encodings: []string{"br, gzip"}}, packed(t, "gzip", packed(t, "br", plain))},
		"the most encodings":   {Headers{Encodings: []string{"br,br", "identity,br,br"}}, packed(t, "br", packed(t, "br", packed(t, "br", packed(t, "br", plain))))},
		"two headers":          {Headers{Encodings: []string{"zstd", "identity, gzip"}}, packed(t, "gzip", packed(t, "zstd", plain))},
		"ISO 8859-1":           {Headers{Type: "application/json;charset=ISO-8859-1"}, latin1()},
		"latin1, compressed":   {Headers{Type: "text/json; charset=latin1", Encodings: []string{"gzip"}}, packed(t, "gzip", latin1())},
		"UTF-16 by its mark":   {Headers{Type: "application/json"}, utf16(t, unicode.LittleEndian, unicode.UseBOM, umlauts)},
		"UTF-16 BE, its mark":  {Headers{Type: "application/json; charset=utf-8"}, utf16(t, unicode.BigEndian, unicode.UseBOM, umlauts)},
		"UTF-16 BE, declared":  {Headers{Type: "application/json; charset=utf-16be"}, utf16(t, unicode.BigEndian, unicode.IgnoreBOM, umlauts)},
		"a charset by command": {Headers{Type: "application/json", Charset: "windows-1252"}, latin1()},
	} {
		got, err := tt.headers.Decode(tt.raw, 1<<10, nil)
		if err != nil || string(got) != umlauts {
			t.Errorf("%s: got %q: %v", name, got, err)
		}
		if tt.headers.AsIs(tt.raw) && !bytes.Equal(tt.raw, plain) {
			t.Errorf("%s is said to stay as it is", name)
		}
	}
}

// TestAsIs: only a body that is neither compressed nor in another charset stays as it is.
func TestAsIs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		headers Headers
		raw     string
		want    bool
	}{
		"nothing said":      {Headers{}, umlauts, true},
		"JSON":              {Headers{Type: "application/json"}, umlauts, true},
		"UTF-8":             {Headers{Type: "application/json; charset=UTF-8"}, umlauts, true},
		"ASCII":             {Headers{Type: "application/json; charset=us-ascii"}, "{}", true},
		"UTF-8 with a mark": {Headers{}, "\xef\xbb\xbf" + umlauts, true},
		"a broken type":     {Headers{Type: "application/json; charset"}, umlauts, true},
		"gzip":              {Headers{Encodings: []string{"gzip"}}, "{}", false},
		"latin1":            {Headers{Type: "application/json; charset=latin1"}, "{}", false},
		"by command":        {Headers{Type: "application/json", Charset: "latin1"}, "{}", false},
		"UTF-16":            {Headers{}, "\xff\xfe{\x00}\x00", false},
		"UTF-16 BE":         {Headers{}, "\xfe\xff\x00{\x00}", false},
	} {
		if got := test.headers.AsIs([]byte(test.raw)); got != test.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

// TestLimit: a body of exactly the limit passes, whether it ends inside a buffer or fills one, and a byte more is too large.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int64{1, 100, firstBuffer, 2 * firstBuffer, 3*firstBuffer - 1} {
		body := bytes.Repeat([]byte(" "), int(limit))
		for _, name := range []string{"gzip", "deflate", "br", "zstd", "latin1"} {
			headers, format := Headers{Encodings: []string{name}}, name
			switch name {
			case "latin1":
				headers = Headers{Charset: name}
			case "deflate":
				format = "zlib"
			}
			sent := func(body []byte) []byte {
				if name == "latin1" {
					return body
				}
				return packed(t, format, body)
			}
			if got, err := headers.Decode(sent(body), limit, nil); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s of %d bytes: got %d: %v", name, limit, len(got), err)
			}
			if got, err := headers.Decode(sent(append(body, ' ')), limit, nil); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s of %d bytes and one: got %d: %v", name, limit, len(got), err)
			}
		}
	}
}

// TestSentReplacementCharacter: U+FFFD that the sender wrote is text like any other.
func TestSentReplacementCharacter(t *testing.T) {
	t.Parallel()
	const text = "a\ufffdb"
	for name, test := range map[string]struct {
		headers Headers
		raw     []byte
	}{
		"UTF-16":  {Headers{}, utf16(t, unicode.LittleEndian, unicode.UseBOM, text)},
		"GB18030": {Headers{Type: "a/b; charset=gb18030"}, []byte("a\x84\x31\xa4\x37b")},
	} {
		if got, err := test.headers.Decode(test.raw, 1<<10, nil); err != nil || string(got) != text {
			t.Errorf("%s: got %q: %v", name, got, err)
		}
	}
}

// TestReader: an answer is read as what it declares if that is known, as its byte order mark says, and else as it is.
func TestReader(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		charset, raw, want string
	}{
		"nothing said":         {"", "ä", "ä"},
		"UTF-8":                {"utf-8", "ä", "ä"},
		"latin1":               {"iso-8859-1", "\xe4", "ä"},
		"Shift JIS":            {"shift_jis", "\x88\xc0", "安"},
		"a mark":               {"", "\xef\xbb\xbfä", "ä"},
		"a mark over latin1":   {"iso-8859-1", "\xef\xbb\xbfä", "ä"},
		"UTF-16":               {"", "\xff\xfe\xe4\x00", "ä"},
		"UTF-16 BE":            {"utf-8", "\xfe\xff\x00\xe4", "ä"},
		"an unknown charset":   {"klingon", "ä", "ä"},
		"a charset for no one": {"iso-2022-kr", "ä", "ä"},
		"a damaged character":  {"shift_jis", "a\x81", "a\ufffd"},
	} {
		h := Headers{Type: "application/json"}
		if test.charset != "" {
			h.Type += "; charset=" + test.charset
		}
		for _, r := range []io.Reader{strings.NewReader(test.raw), iotest.OneByteReader(strings.NewReader(test.raw)), iotest.DataErrReader(strings.NewReader(test.raw))} {
			if got, err := io.ReadAll(h.Reader(r)); err != nil || string(got) != test.want {
				t.Errorf("%s: got %q: %v", name, got, err)
			}
		}
	}
}

// TestReaderFails: an answer that is cut off, even at its very beginning, is not taken for one that has ended.
func TestReaderFails(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "{", "{}", "{}\n", `{"a":1}`, "\xef\xbb", "\xef\xbb\xbf{"} {
		cut := io.MultiReader(strings.NewReader(raw), iotest.ErrReader(io.ErrUnexpectedEOF))
		got, err := io.ReadAll(Headers{Type: "application/json"}.Reader(cut))
		if !errors.Is(err, io.ErrUnexpectedEOF) || string(got) != strings.TrimPrefix(raw, "\xef\xbb\xbf") {
			t.Errorf("%q: got %q, %v", raw, got, err)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	plain := []byte(umlauts)
	large := bytes.Repeat([]byte(" "), 1<<20)
	withTail := packed(t, "gzip", plain)
	for name, tt := range map[string]struct {
		headers Headers
		raw     []byte
		is      error // nil: damaged
		want    string
	}{
		"unknown encoding":     {Headers{Encodings: []string{"compress"}}, plain, ErrUnsupported, "gzip, deflate, br, zstd"},
		"too many encodings":   {Headers{Encodings: []string{"br,br,br,br,br"}}, plain, ErrUnsupported, "at most 4"},
		"unknown charset":      {Headers{Type: "application/json; charset=klingon"}, plain, ErrUnsupported, "klingon"},
		"a charset for no one": {Headers{Type: "application/json; charset=iso-2022-kr"}, plain, ErrUnsupported, "iso-2022-kr"},
		"gzip bomb":            {Headers{Encodings: []string{"gzip"}}, packed(t, "gzip", large), ErrTooLarge, "1024"},
		"deflate bomb":         {Headers{Encodings: []string{"deflate"}}, packed(t, "flate", large), ErrTooLarge, "1024"},
		"zlib bomb":            {Headers{Encodings: []string{"deflate"}}, packed(t, "zlib", large), ErrTooLarge, "1024"},
		"br bomb":              {Headers{Encodings: []string{"br"}}, packed(t, "br", large), ErrTooLarge, "1024"},
		"zstd bomb":            {Headers{Encodings: []string{"zstd"}}, packed(t, "zstd", large), ErrTooLarge, "1024"},
		"a bomb in a bomb":     {Headers{Encodings: []string{"gzip, gzip"}}, packed(t, "gzip", packed(t, "gzip", large)), ErrTooLarge, ""},
		"grown by its charset": {Headers{Type: "a/b; charset=latin1"}, bytes.Repeat([]byte{0xe4}, 600), ErrTooLarge, "1024"},
		"not gzip":             {Headers{Encodings: []string{"gzip"}}, plain, nil, "gzip"},
		"not deflate":          {Headers{Encodings: []string{"deflate"}}, plain, nil, "deflate"},
		"not br":               {Headers{Encodings: []string{"br"}}, plain, nil, "br"},
		"not zstd":             {Headers{Encodings: []string{"zstd"}}, plain, nil, "zstd"},
		"gzip of nothing":      {Headers{Encodings: []string{"gzip"}}, nil, nil, "gzip"},
		"gzip, cut off":        {Headers{Encodings: []string{"gzip"}}, withTail[:len(withTail)-9], nil, "gzip"},
		"gzip, wrong sum":      {Headers{Encodings: []string{"gzip"}}, append(bytes.Clone(withTail[:len(withTail)-8]), 1, 2, 3, 4, 5, 6, 7, 8), nil, "gzip"},
		"half UTF-16":          {Headers{}, []byte("\xff\xfea"), nil, "utf-16le"},
		"a lone surrogate":     {Headers{}, []byte("\xff\xfe\x00\xd8a\x00"), nil, "utf-16le"},
		"not Shift JIS":        {Headers{Type: "a/b; charset=shift_jis"}, []byte("\x81"), nil, "shift_jis"},
	} {
		got, err := tt.headers.Decode(tt.raw, 1<<10, nil)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %.80q and %v, want %v with %q", name, got, err, tt.is, tt.want)
		}
		if tt.is == nil && (errors.Is(err, ErrTooLarge) || errors.Is(err, ErrUnsupported)) {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// TestAsksForMemory: what is unpacked is charged before it is there.
func TestAsksForMemory(t *testing.T) {
	t.Parallel()
	large := packed(t, "gzip", bytes.Repeat([]byte(" "), 1<<20))
	asked := int64(0)
	out, err := Headers{Encodings: []string{"gzip"}}.Decode(large, 2<<20, func(n int64) bool { asked += n; return true })
	if err != nil || asked < int64(cap(out)) || asked > 2<<20+1 {
		t.Errorf("%d bytes were asked for, %d are used: %v", asked, cap(out), err)
	}
	asked = 0
	_, err = Headers{Encodings: []string{"gzip"}}.Decode(large, 2<<20, func(n int64) bool { asked += n; return asked < 64<<10 })
	if !errors.Is(err, ErrNoRoom) {
		t.Errorf("without memory: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"gzip", "zlib", "flate", "br", "zstd"} {
		f.Add(packed(f, name, []byte(umlauts)), name, "application/json")
	}
	f.Add([]byte("\xff\xfe{\x00"), "", "application/json; charset=utf-16")
	f.Add(latin1(), "", "application/json; charset=latin1")
	f.Fuzz(func(t *testing.T, raw []byte, encoding, contentType string) {
		kept := bytes.Clone(raw)
		out, err := Headers{Type: contentType, Encodings: []string{encoding}}.Decode(raw, 1<<16, nil)
		if !bytes.Equal(raw, kept) {
			t.Fatal("the body was changed")
		}
		if err == nil && len(out) > 1<<16 && len(out) > len(raw) {
			t.Errorf("%d bytes came out", len(out))
		}
	})
}

package translate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/factro-bridge/factro-bridge/internal/translate"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`[]`: `[]`,
		`{"authenticationHeaderValue":"geheim","b":1}`:                          `{"authenticationHeaderValue":null,"b":1}`,
		"{ \"authenticationHeaderValue\" :\n\t\"ge\\\"he\\\\im\" , \"b\" : 1 }": "{ \"authenticationHeaderValue\" :\n\tnull , \"b\" : 1 }",
		`[{"webhook":{"authenticationHeaderValue":{"a":["]}",{}]}}}]`:           `[{"webhook":{"authenticationHeaderValue":null}}]`,
		`{"authenticationHeaderValue":17}`:                                      `{"authenticationHeaderValue":null}`,
		`{"authenticationHeaderValue":null,"x":[true]}`:                         `{"authenticationHeaderValue":null,"x":[true]}`,
		`{"authentication\u0048eaderValue":"geheim"}`:                           `{"authentication\u0048eaderValue":null}`,
		`{"` + escaped("authenticationHeaderValue") + `":"geheim"}`:             `{"` + escaped("authenticationHeaderValue") + `":null}`,
		`{"` + escaped("authenticationHeaderValues") + `":"stays"}`:             `{"` + escaped("authenticationHeaderValues") + `":"stays"}`,
		`{"authenticationHeaderValue":[[1,{"a":[]}],2],"b":[1]}`:                `{"authenticationHeaderValue":null,"b":[1]}`,
		`{"a":{"authenticationHeaderValue":-1.5e3},"b":1}`:                      `{"a":{"authenticationHeaderValue":null},"b":1}`,
		`{"a":[{"authenticationHeaderValue":true}],"b":1}`:                      `{"a":[{"authenticationHeaderValue":null}],"b":1}`,
		`{"authenticationHeaderValue":{"a":"\"}","b":"\\"},"c":"}"}`:            `{"authenticationHeaderValue":null,"c":"}"}`,
		`{"a":"authenticationHeaderValue","b":"stays"}`:                         `{"a":"authenticationHeaderValue","b":"stays"}`,
		`["authenticationHeaderValue", "stays"]`:                                `["authenticationHeaderValue", "stays"]`,
		`{"xauthenticationHeaderValue":"stays","authenticationHeader":"x"}`:     `{"xauthenticationHeaderValue":"stays","authenticationHeader":"x"}`,
		`{"a":"\\","authenticationHeaderValue":"geheim"}`:                       `{"a":"\\","authenticationHeaderValue":null}`,
		`{"` + strings.Repeat("ü", 5000) + `":1.10}`:                            `{"` + strings.Repeat("ü", 5000) + `":1.10}`,
		`{"authenticationHeaderValue":"cut off`:                                 `{"authenticationHeaderValue":null`,
		`<html>"authenticationHeaderValue"</html>`:                              `<html>"authenticationHeaderValue"</html>`,
	} {
		for how, r := range map[string]io.Reader{
			"at once": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in)),
			"with its end": iotest.DataErrReader(strings.NewReader(in)),
		} {
			got, err := io.ReadAll(translate.Redact(r))
			if err != nil || string(got) != want {
				t.Errorf("%s %s:\ngot  %s, %v\nwant %s", in, how, got, err, want)
			}
		}
	}
	broken := errors.New("the line is dead")
	if _, err := io.ReadAll(translate.Redact(io.MultiReader(strings.NewReader(`{"a":`), iotest.ErrReader(broken)))); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

// escaped is a name with every letter escaped, as JSON allows.
func escaped(name string) string {
	var out strings.Builder
	for _, c := range name {
		fmt.Fprintf(&out, `\u%04x`, c)
	}
	return out.String()
}

// TestRedactHoldsNothing: what was read and is not passed on yet is never more than the buffers.
func TestRedactHoldsNothing(t *testing.T) {
	t.Parallel()
	const size, buffers = 4 << 20, 64 << 10
	read, passed := 0, 0
	in := io.MultiReader(strings.NewReader(`{"a":"`), io.LimitReader(endless('x'), size), strings.NewReader(`"}`))
	out := translate.Redact(readerFunc(func(p []byte) (int, error) {
		n, err := in.Read(p)
		read += n
		return n, err
	}))
	for {
		n, err := out.Read(make([]byte, 4096))
		passed += n
		if read-passed > buffers {
			t.Fatalf("%d bytes are held", read-passed)
		}
		if err == io.EOF {
			break
		}
	}
	if passed != size+len(`{"a":""}`) {
		t.Errorf("%d bytes are passed on", passed)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// FuzzRedact holds that valid JSON stays valid, that nothing but the secrets changes, and that no secret is left.
func FuzzRedact(f *testing.F) {
	f.Add([]byte(`[{"webhook":{"authenticationHeaderValue":"geheim","x":1.0}}]`))
	f.Add([]byte(`{"authentication\u0048eaderValue":{"a":[1,"]"]},"b":"authenticationHeaderValue"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := io.ReadAll(translate.Redact(bytes.NewReader(data)))
		if err != nil {
			t.Fatal(err)
		}
		var before, after any
		if json.Unmarshal(data, &before) != nil {
			return // what is no JSON passes somehow
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%s became %s: %v", data, got, err)
		}
		if want, is := mustMarshal(t, blanked(before)), mustMarshal(t, after); !bytes.Equal(want, is) {
			t.Errorf("%s became %s, want %s", data, is, want)
		}
		if !bytes.Contains(data, []byte("eaderValue")) && !bytes.Contains(data, []byte(`\u`)) && !bytes.Equal(data, got) {
			t.Errorf("%s became %s", data, got)
		}
	})
}

// blanked takes the secrets out of decoded JSON.
func blanked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			v[name] = blanked(e)
			if name == "authenticationHeaderValue" {
				v[name] = nil
			}
		}
	case []any:
		for i, e := range v {
			v[i] = blanked(e)
		}
	}
	return v
}

func mustMarshal(t testing.TB, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

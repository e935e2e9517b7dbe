package content

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/factro-bridge/factro-bridge/internal/plural"
)

// Headers are what the headers of a request, or of an answer, say about its body.
type Headers struct {
	// Type is the header Content-Type, Encodings are the values of Content-Encoding, in their order.
	Type      string
	Encodings []string
	// Charset, if set, replaces the one that Type declares.
	Charset string
}

// Limits on encodings. No real sender stacks encodings; each costs time and a buffer.
const (
	maxEncodings = 4
	// maxWindow is the largest window that a sender of zstd may use on the web (RFC 9659).
	maxWindow = 8 << 20
)

var (
	// ErrTooLarge means that a body has more bytes than allowed after decompression and conversion.
	ErrTooLarge = errors.New("the unpacked body is too large")
	// ErrUnsupported means that a body has an unknown encoding or charset.
	ErrUnsupported = errors.New("unsupported content")
	// ErrNoRoom means that the caller granted no memory for the decompressed body.
	ErrNoRoom = errors.New("no memory for the unpacked body")

	errDamaged = errors.New("the body is damaged")
	errNoText  = errors.New("the body is not valid text")
)

// Encodings lists the supported values of Content-Encoding, for people and for the header Accept-Encoding.
const Encodings = "gzip, deflate, br, zstd"

// AsIs reports whether there is nothing to decompress and nothing to convert, as with nearly every webhook.
func (h Headers) AsIs(raw []byte) bool {
	if len(h.Encodings) > 0 || isUTF16(raw) {
		return false
	}
	name, declared := h.charset()
	return !declared || isUTF8Name(name)
}

// Decode decompresses a body and converts it to UTF-8. The result has at most limit bytes. reserve is called before memory
// is allocated for it; nil allows everything. A byte order mark takes precedence over the declared charset, as on the web.
//
// A body declared as UTF-8, or without a declaration, is not changed: Webhook checks whether it is valid text.
func (h Headers) Decode(raw []byte, limit int64, reserve func(int64) bool) ([]byte, error) {
	b := buffer{limit: limit, reserve: reserve}
	names, err := h.encodings()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Backward(names) { // the last one was applied last
		if raw, err = b.unpack(name, raw); err != nil {
			return nil, err
		}
	}
	return h.toUTF8(raw, b)
}

// encodings splits the values of Content-Encoding, which may be lists.
func (h Headers) encodings() ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(strings.Join(h.Encodings, ","), ",") {
		switch name = strings.ToLower(strings.TrimSpace(name)); name {
		case "", "identity":
		case "gzip", "x-gzip", "deflate", "br", "zstd":
			names = append(names, name)
		default:
			return nil, fmt.Errorf("%w: Content-Encoding is %.40q, want any of %s", ErrUnsupported, name, Encodings)
		}
	}
	if len(names) > maxEncodings {
		return nil, fmt.Errorf("%w: Content-Encoding has %d encodings, want at most %d of %s", ErrUnsupported, len(names), maxEncodings, Encodings)
	}
	return names, nil
}

// buffer reads data that may be far larger than announced.
type buffer struct {
	limit   int64
	reserve func(int64) bool
}

// firstBuffer is the first buffer for decompressed bytes. It grows with what actually arrives.
const firstBuffer = 4 << 10

func (b buffer) read(r io.Reader) ([]byte, error) {
	var out []byte
	for {
		if len(out) == cap(out) {
			size := min(int64(max(2*cap(out), firstBuffer)), b.limit+1) // one more byte than allowed shows that it is too large
			if int64(cap(out)) > b.limit {
				return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, b.limit)
			}
			if b.reserve != nil && !b.reserve(size-int64(cap(out))) {
				return nil, ErrNoRoom
			}
			out = append(make([]byte, 0, size), out...)
		}
		n, err := r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case int64(len(out)) > b.limit:
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, b.limit)
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err //nolint:wrapcheck // the caller adds what was read
		}
	}
}

func (b buffer) unpack(name string, raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return nil, fmt.Errorf("%w: Content-Encoding is %s, and there is nothing to unpack", errDamaged, name)
	}
	var out []byte
	var err error
	switch name {
	case "gzip", "x-gzip":
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(raw)); err == nil {
			out, err = b.read(r)
		}
	case "deflate":
		out, err = b.inflate(raw)
	case "br":
		out, err = b.read(brotli.NewReader(bytes.NewReader(raw)))
	case "zstd":
		var r *zstd.Decoder
		if r, err = zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			out, err = b.read(r)
			r.Close()
		}
	}
	switch {
	case err == nil, errors.Is(err, ErrTooLarge), errors.Is(err, ErrNoRoom):
		return out, err
	}
	return nil, fmt.Errorf("%w: Content-Encoding is %s, which it is not: %w", errDamaged, name, err)
}

// inflate decompresses deflate. By its standard that is zlib, but some senders write it without zlib's frame.
func (b buffer) inflate(raw []byte) ([]byte, error) {
	packed := bytes.NewReader(raw)
	framed, err := zlib.NewReader(packed)
	if err == nil {
		var out []byte
		if out, err = b.whole(framed, packed); err == nil || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNoRoom) {
			return out, err
		}
	}
	packed.Reset(raw)
	out, bareErr := b.whole(flate.NewReader(packed), packed)
	if bareErr != nil && !errors.Is(bareErr, ErrTooLarge) && !errors.Is(bareErr, ErrNoRoom) {
		return nil, errors.Join(err, bareErr)
	}
	return out, bareErr
}

// whole reads a format that ends by itself, and refuses bytes after its end, which would otherwise be dropped silently. The
// other decoders do this themselves.
func (b buffer) whole(r io.Reader, packed *bytes.Reader) ([]byte, error) {
	out, err := b.read(r)
	if err == nil && packed.Len() > 0 {
		return nil, fmt.Errorf("%s behind its end", plural.Of(packed.Len(), "byte"))
	}
	return out, err
}

// charset is the declared charset, if there is one.
func (h Headers) charset() (name string, declared bool) {
	if h.Charset != "" {
		return h.Charset, true
	}
	if h.Type == "" {
		return "", false
	}
	_, params, err := mime.ParseMediaType(h.Type)
	if err != nil { // the declaration cannot be read
		return "", false
	}
	name = strings.Trim(strings.TrimSpace(params["charset"]), `'"`)
	return name, name != ""
}

func isUTF8Name(name string) bool {
	return strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8") || strings.EqualFold(name, "us-ascii") || strings.EqualFold(name, "ascii")
}

// isUTF16 reports whether the text begins with a byte order mark of UTF-16.
func isUTF16(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff"))
}

// Reader reads an answer as UTF-8. A byte order mark is removed and decides the charset; otherwise the declared one is used
// if it is known. Unlike Decode it refuses nothing: what the answer says about the call matters even if a character in it
// is damaged.
func (h Headers) Reader(r io.Reader) io.Reader {
	if name, ok := h.charset(); ok && !isUTF8Name(name) {
		if charset, err := htmlindex.Get(name); err == nil && charset != encoding.Replacement {
			return transform.NewReader(r, unicode.BOMOverride(charset.NewDecoder()))
		}
	}
	return &unmarked{rest: r}
}

// unmarked reads text that is UTF-8 unless it begins with another byte order mark, which is rare: a transform.Reader has buffers of
// 8 KiB, and an answer is often smaller.
type unmarked struct {
	rest   io.Reader
	looked bool
	head   [3]byte
}

func (u *unmarked) Read(p []byte) (int, error) {
	if !u.looked {
		u.looked = true
		n, err := 0, error(nil)
		for n < len(u.head) && err == nil {
			var more int
			more, err = u.rest.Read(u.head[n:])
			n += more
		}
		head := u.head[:n]
		if err != nil { // the end, or a failure that the reader has to see
			u.rest = failing{err}
		}
		u.rest = io.MultiReader(bytes.NewReader(head), u.rest)
		if isUTF16(head) || bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
			u.rest = transform.NewReader(u.rest, unicode.BOMOverride(transform.Nop))
		}
	}
	return u.rest.Read(p)
}

// failing is a reader that has failed.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// toUTF8 converts text. Bytes that are invalid in the charset are an error: a replacement character would make different
// texts equal.
func (h Headers) toUTF8(raw []byte, b buffer) ([]byte, error) {
	name, declared := h.charset()
	var charset encoding.Encoding
	switch {
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		return raw, nil
	case bytes.HasPrefix(raw, []byte("\xff\xfe")):
		name, charset, raw = "utf-16le", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), raw[2:]
	case bytes.HasPrefix(raw, []byte("\xfe\xff")):
		name, charset, raw = "utf-16be", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), raw[2:]
	case !declared, isUTF8Name(name):
		return raw, nil
	default:
		var err error
		if charset, err = htmlindex.Get(name); err != nil || charset == encoding.Replacement {
			return nil, fmt.Errorf("%w: the charset is %.40q, want one of the WHATWG Encoding Standard, best utf-8", ErrUnsupported, name)
		}
	}
	text, err := b.read(charset.NewDecoder().Reader(bytes.NewReader(raw)))
	if err != nil {
		if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNoRoom) {
			return nil, err
		}
		return nil, fmt.Errorf("%w in the charset %s: %w", errNoText, name, err)
	}
	if bytes.ContainsRune(text, utf8.RuneError) { // written by the decoder or by the sender?
		again, err := charset.NewEncoder().Bytes(text)
		if err != nil || !bytes.Equal(again, raw) {
			return nil, fmt.Errorf("%w in the charset %s", errNoText, name)
		}
	}
	return text, nil
}

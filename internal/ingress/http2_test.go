package ingress_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
)

// Kinds of frames of HTTP/2, and flags.
const (
	frameHeaders, frameReset, frameSettings, frameGoAway = 1, 3, 4, 7
	endStream, endHeaders                                = 1, 4
)

// frame2 is a frame of HTTP/2.
type frame2 struct {
	kind, flags byte
	stream      uint32
	payload     string
}

func (f frame2) String() string {
	n := len(f.payload)
	return string([]byte{
		byte(n >> 16), byte(n >> 8), byte(n), f.kind, f.flags, byte(f.stream >> 24), byte(f.stream >> 16), byte(f.stream >> 8), byte(f.stream),
	}) + f.payload
}

// fields is a block of headers without compression.
func fields(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteByte(0)
		for _, text := range pairs[i : i+2] {
			b.WriteByte(byte(len(text))) // shorter than 127
			b.WriteString(text)
		}
	}
	return b.String()
}

// conn2 is a connection of HTTP/2, spoken to by hand.
type conn2 struct {
	*tls.Conn
	t testing.TB
}

// dial2 starts a server with TLS, and connects to it.
func dial2(t *testing.T, store ingress.Store) *conn2 {
	t.Helper()
	s, _ := newServer(t, config(), store)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lent := httptest.NewTLSServer(nil) // only its certificate is used
	certificates := lent.TLS.Certificates
	lent.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l, &tls.Config{Certificates: certificates}, time.Millisecond) }()
	t.Cleanup(func() {
		stop()
		<-ended // requests are cut off on purpose
	})
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	raw, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	c := &conn2{raw.(*tls.Conn), t}
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame2{kind: frameSettings}.String())
	return c
}

func (c *conn2) say(texts ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c, strings.Join(texts, "")); err != nil {
		c.t.Fatal(err)
	}
}

// next reads a frame; ok is false at the end of the connection.
func (c *conn2) next() (f frame2, ok bool) {
	c.t.Helper()
	head := make([]byte, 9)
	if _, err := io.ReadFull(c, head); err != nil {
		return frame2{}, false
	}
	payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c, payload); err != nil {
		return frame2{}, false
	}
	return frame2{head[3], head[4], uint32(head[5])<<24 | uint32(head[6])<<16 | uint32(head[7])<<8 | uint32(head[8]), string(payload)}, true
}

// TestHTTP2Settings: a connection is told the bounds of what it can take of the bridge.
func TestHTTP2Settings(t *testing.T) {
	t.Parallel()
	c := dial2(t, &shelf{})
	f, ok := c.next()
	if !ok || f.kind != frameSettings {
		t.Fatalf("the first frame is %+v", f)
	}
	got := map[byte]uint32{}
	for p := f.payload; len(p) >= 6; p = p[6:] {
		got[p[1]] = uint32(p[2])<<24 | uint32(p[3])<<16 | uint32(p[4])<<8 | uint32(p[5])
	}
	for id, most := range map[byte]uint32{1: 4 << 10, 3: 32, 4: 64 << 10, 5: 16 << 10} { // table of headers, streams, window, frame
		if n, told := got[id]; (told || id != 1) && n > most || id == 3 && !told { // a table of 4 KiB is the default
			t.Errorf("setting %d is %d, want at most %d", id, n, most)
		}
	}
}

// TestHTTP2Streams: more requests at once than a connection may have are refused, also if they have the secret, and the
// others stay.
func TestHTTP2Streams(t *testing.T) {
	t.Parallel()
	c := dial2(t, &shelf{})
	const most, more = 32, 8
	waiting := fields(":method", "POST", ":scheme", "https", ":path", "/webhooks/acme", ":authority", "bridge", "x-bridge-key", oldSecret)
	for n := range uint32(most + more) { // their bodies do not come
		c.say(frame2{frameHeaders, endHeaders, 2*n + 1, waiting}.String())
	}
	for refused := 0; refused < more; {
		f, ok := c.next()
		switch {
		case !ok:
			t.Fatalf("%d of %d were refused", refused, more)
		case f.kind == frameReset && f.stream > 2*most:
			refused++
		case f.kind == frameReset, f.kind == frameHeaders:
			t.Fatalf("stream %d is ended by frame %d, although only %d were before it", f.stream, f.kind, f.stream/2)
		}
	}
}

// TestHTTP2Flood: a connection that asks again and again without a secret is closed.
func TestHTTP2Flood(t *testing.T) {
	t.Parallel()
	c := dial2(t, &shelf{})
	guess := fields(":method", "POST", ":scheme", "https", ":path", "/webhooks/acme", ":authority", "bridge", "x-bridge-key", wrongGuess)
	const most = 32 // answers
	for answers := 0; ; {
		if _, err := io.WriteString(c, frame2{frameHeaders, endHeaders | endStream, uint32(2*answers + 1), guess}.String()); err != nil {
			return
		}
		for answered := false; !answered; {
			f, ok := c.next()
			if !ok || f.kind == frameGoAway {
				return
			}
			answered = f.kind == frameHeaders
		}
		if answers++; answers > most {
			t.Fatalf("it has got %d answers, and goes on", answers)
		}
	}
}

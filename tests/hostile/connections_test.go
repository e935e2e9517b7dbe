package hostile

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// get is a request without a secret, of the size that its header has.
func get(size int) string {
	return "GET /webhooks/beta HTTP/1.1\r\nHost: bridge\r\nX-Fill: " + strings.Repeat("x", size) + "\r\n\r\n"
}

// delivery is a webhook by hand. extra are header lines beside the length.
func delivery(cloud string, length int, extra string) string {
	return fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: bridge\r\nX-Bridge-Key: %s\r\nContent-Length: %d\r\n%s\r\n", cloud, secretOf(cloud), length, extra)
}

// hold keeps a number of connections until the returned function is called: each is opened again as soon as the bridge
// closes it.
// do is what happens on each; it returns when there is nothing left to do but to wait for the end. address tells from where the
// nth one comes.
func (w *world) hold(n int, address func(n int) int, do func(c net.Conn)) (stop func(), made *atomic.Int64) {
	var group sync.WaitGroup
	end := make(chan struct{})
	made = &atomic.Int64{}
	for i := range n {
		group.Go(func() {
			for {
				c, err := from(address(i)).DialContext(w.ctx, "tcp", w.bridges[0].http)
				if err == nil {
					made.Add(1)
					closed := make(chan struct{})
					go func() { // nothing of ours may wait for the bridge when the row ends
						select {
						case <-end:
						case <-closed:
						case <-w.ctx.Done():
						}
						_ = c.Close()
					}()
					do(c)
					_, _ = io.Copy(io.Discard, c) // until it is closed
					close(closed)
				}
				select {
				case <-end:
					return
				case <-w.ctx.Done():
					return
				case <-time.After(500 * time.Millisecond):
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(end); group.Wait() }), made
}

// each waits until all have come once.
func (w *world) allCame(made *atomic.Int64, n int) {
	w.t.Helper()
	w.await(fmt.Sprintf("%d connections", n), func() bool { return made.Load() >= int64(n) })
}

func same(address int) func(int) int { return func(int) int { return address } }
func many(n int) int                 { return 2 + n%5000 }

// Few descriptors, and more idle connections than there are: probes, webhooks, commands and the streams go on.
func TestIdleConnectionsAndFewFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "350 to 400 idle connections with one GET each, 256 files", setting{
		embedded: true, files: 256, spool: true, roles: []string{"ingress, egress, query, reconcile"},
	})
	if !w.bridges[0].Logged("the limit of open files, 256,") {
		t.Error("the operator is not told that there are too few files")
	}
	// Some come from the victim's own address, as they do behind a proxy.
	stop, made := w.hold(scale(350, 400), func(n int) int { return 1 + n%2 }, func(c net.Conn) { _, _ = io.WriteString(c, get(0)) })
	w.allCame(made, scale(350, 400))
	for range scale(2, 20) {
		w.usual(beta)
		w.usual(acme)
	}
	if n := w.bridges[0].Descriptors(); n > 256-32 {
		t.Errorf("%d of 256 files are open", n)
	}
	if n, there := w.bridges[0].metric("factro_bridge_connections_dropped_total", `reason="evicted_address"`); n == 0 || !there {
		t.Error("no connection was closed to make room, so nothing was tried")
	}
	stop()
	w.aftermath(beta, acme)
}

// Very many connections with large headers do not take the memory.
func TestVeryManyIdleConnections(t *testing.T) { //nolint:tparallel // each row takes the descriptors of this process
	t.Parallel()
	for name, tt := range map[string]struct { //nolint:paralleltest // see above
		attack  string
		address func(int) int
		header  int
	}{
		"from one address":     {"idle connections with headers of 12 kB, from one address", same(2), 12_000},
		"from many addresses":  {"idle connections with headers of 12 kB, from many addresses", many, 12_000},
		"with allowed headers": {"idle connections with headers of 7 kB, from many addresses", many, 7_000},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.attack, setting{spool: true})
			n := scale(1500, 8000)
			stop, made := w.hold(n, tt.address, func(c net.Conn) { _, _ = io.WriteString(c, get(tt.header)) })
			w.allCame(made, n)
			w.usual(beta)
			w.pause(time.Duration(scale(1, 30)) * time.Second)
			w.usual(beta)
			stop()
			w.aftermath(beta, acme)
		})
	}
}

// A cloud that knows its secret sends bodies byte by byte.
func TestDrippingBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "acme sends bodies byte by byte, with its right secret", setting{spool: true})
	stop, made := w.hold(scale(300, 600), same(2), func(c net.Conn) {
		_, _ = io.WriteString(c, delivery(acme, 1000, ""))
		for range 1000 {
			if _, err := c.Write([]byte("{")); err != nil {
				return
			}
			w.pause(200 * time.Millisecond)
		}
	})
	w.allCame(made, scale(300, 600))
	w.usual(beta)
	w.usual(acme) // its own good webhooks too
	w.pause(time.Duration(scale(6, 60)) * time.Second)
	w.usual(beta)
	if n, there := w.bridges[0].metric("factro_bridge_webhooks_total", `outcome="slow"`, `factro_cloud="acme"`); n == 0 || !there {
		t.Error("no body was given up")
	}
	stop()
	w.aftermath(beta, acme)
}

// A cloud that knows its secret keeps very many connections and uses none.
func TestOwnConnectionsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "acme keeps very many connections that have shown its secret", setting{spool: true})
	n := scale(700, 2000)
	stop, made := w.hold(n, many, func(c net.Conn) { _, _ = io.WriteString(c, delivery(acme, 0, "")) })
	w.allCame(made, n)
	w.usual(beta)
	if kept, there := w.bridges[0].metric("factro_bridge_connections", `state="kept"`); kept > 400 || kept == 0 || !there {
		t.Errorf("%v connections are kept, want no more than 375 for acme and those of beta", kept)
	}
	stop()
	w.aftermath(beta, acme)
}

// Whoever sends very many requests and reads no answer.
func TestNeverReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a stranger sends requests and reads no answer", setting{spool: true})
	var group sync.WaitGroup
	end := time.Now().Add(time.Duration(scale(4, 60)) * time.Second)
	for i := range scale(100, 400) {
		group.Go(func() {
			text := strings.Repeat("POST /webhooks/beta HTTP/1.1\r\nHost: bridge\r\nContent-Length: 0\r\nX-Bridge-Key: wrong\r\n\r\n", 50)
			for time.Now().Before(end) && w.ctx.Err() == nil {
				c, err := from(2+i).DialContext(w.ctx, "tcp", w.bridges[0].http)
				if err != nil {
					continue
				}
				_ = c.SetWriteDeadline(end.Add(time.Second))
				for err == nil && time.Now().Before(end) {
					_, err = io.WriteString(c, text)
				}
				_ = c.Close()
				w.pause(100 * time.Millisecond)
			}
		})
	}
	w.usual(beta)
	group.Wait()
	w.aftermath(beta, acme)
}

// With a length and chunks at once a request is refused, and the connection is closed.
func TestLengthAndChunks(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]setting{"plain": {}, "TLS": {tls: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "a length and chunks at once, and a request behind them; "+name, set)
			for range scale(20, 2000) {
				c, err := w.dial(0, 2)
				must(t, err)
				if set.tls {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
				}
				_, err = io.WriteString(c, delivery(acme, 4, "Transfer-Encoding: chunked\r\n")+"2\r\n{}\r\n0\r\n\r\n"+
					"GET /smuggled HTTP/1.1\r\nHost: bridge\r\n\r\n")
				must(t, err)
				in := bufio.NewReader(c)
				resp, err := http.ReadResponse(in, nil)
				must(t, err)
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				// Of TLS nobody sees the header line. Then the chunks count, which net/http takes too, and nothing behind them.
				if resp.StatusCode != http.StatusBadRequest {
					t.Errorf("got %d, want 400", resp.StatusCode)
				}
				if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the connection goes on with %q, %v", rest, err)
				}
				_ = c.Close()
			}
			w.aftermath(beta, acme)
		})
	}
}

// Handshakes that never end.
func TestHalfOpenTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "handshakes of TLS that never end", setting{spool: true, tls: true})
	n := scale(1200, 4000)
	stop, made := w.hold(n, func(n int) int { return 2 + n%500 }, func(c net.Conn) {
		// The beginning of a ClientHello of 16 KiB.
		_, _ = c.Write([]byte{22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f, 0xfb, 3, 3})
		_, _ = io.WriteString(c, strings.Repeat("x", 16_000))
	})
	w.allCame(made, n)
	w.usual(beta)
	w.pause(time.Duration(scale(6, 30)) * time.Second)
	w.usual(beta)
	stop()
	w.aftermath(beta, acme)
}

// frame is a frame of HTTP/2.
func frame(kind, flags byte, stream uint32, payload string) string {
	n := len(payload)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)}) + payload
}

// fields is a header block without compression.
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

// Frames of HTTP/2 in numbers and orders that cost more than they should.
func TestHTTP2Floods(t *testing.T) { //nolint:tparallel // each row takes the processors of this machine
	t.Parallel()
	const ends = 5 // END_STREAM and END_HEADERS
	request := fields(":method", "POST", ":scheme", "https", ":path", "/webhooks/beta", ":authority", "bridge", "x-bridge-key", "wrong")
	rapid := func(stream uint32) string {
		return frame(1, ends, stream, request) + frame(3, 0, stream, "\x00\x00\x00\x08")
	}
	for name, tt := range map[string]struct { //nolint:paralleltest // see above
		settings string
		once     string
		each     func(stream uint32) string
	}{
		"streams":             {"", "", func(stream uint32) string { return frame(1, ends, stream, request) }},
		"rapid reset":         {"", "", rapid},
		"no window":           {"\x00\x04\x00\x00\x00\x00", "", func(stream uint32) string { return frame(1, ends, stream, request) }},
		"pings":               {"", "", func(uint32) string { return frame(6, 0, 0, "12345678") }},
		"settings":            {"", "", func(uint32) string { return frame(4, 0, 0, "") }},
		"endless header":      {"", frame(1, 1, 1, request), func(uint32) string { return frame(9, 0, 1, fields("x-fill", strings.Repeat("x", 100))) }},
		"frame of a megabyte": {"", string([]byte{0x0f, 0xff, 0xff, 0, 0, 0, 0, 0, 1}), func(uint32) string { return strings.Repeat("x", 1000) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "HTTP/2: "+name, setting{spool: true, tls: true, env: []string{"GOMEMLIMIT=200MiB"}}) // as the chart's limit has it
			end := time.Now().Add(time.Duration(scale(3, 30)) * time.Second)
			var group sync.WaitGroup
			var sent atomic.Int64
			for i := range scale(16, 100) {
				group.Go(func() {
					for time.Now().Before(end) && w.ctx.Err() == nil {
						raw, err := from(2+i).DialContext(w.ctx, "tcp", w.bridges[0].http)
						if err != nil {
							continue
						}
						_ = raw.SetDeadline(end.Add(time.Second))
						c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
						_, err = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+frame(4, 0, 0, tt.settings)+tt.once)
						go io.Copy(io.Discard, c) //nolint:errcheck // the answer does not matter
						for stream := uint32(1); err == nil && time.Now().Before(end); stream += 20 {
							var text strings.Builder
							for n := range uint32(10) {
								text.WriteString(tt.each(stream + 2*n))
							}
							_, err = io.WriteString(c, text.String())
							sent.Add(10)
							w.pause(20 * time.Millisecond) // the bridge is to be tried, and not the processors, which it shares with us
						}
						_ = c.Close()
						w.pause(100 * time.Millisecond)
					}
				})
			}
			w.usual(beta)
			group.Wait()
			if sent.Load() == 0 {
				t.Error("nothing was sent")
			}
			w.aftermath(beta, acme)
		})
	}
}

// NATS goes away while webhooks come in: each is answered in time, by the spool.
func TestNATSGoesWhileWebhooksCome(t *testing.T) {
	t.Parallel()
	const storeTimeout = 2 * time.Second
	w := newWorld(t, "NATS goes away, more than once, while webhooks come in", setting{spool: true, httpMore: "store_timeout: 2s"})
	var group sync.WaitGroup
	end := make(chan struct{})
	var posted, slow atomic.Int64
	for range 16 {
		group.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				a := w.post(webhook{cloud: beta})
				posted.Add(1)
				if a.took > storeTimeout+3*time.Second || a.status == 0 {
					slow.Add(1)
					t.Errorf("%d after %s: %v", a.status, a.took, a.err)
				}
			}
		})
	}
	for range scale(2, 10) {
		w.pause(500 * time.Millisecond)
		w.nats.Kill()
		before := posted.Load()
		w.await("webhooks go on without NATS", func() bool { return posted.Load() > before+50 })
		must(t, w.startNATS())
	}
	close(end)
	group.Wait()
	w.await("the spool is handed over", func() bool {
		n, there := w.bridges[0].metric("factro_bridge_spool_messages")
		return n == 0 && there
	})
	w.aftermath(beta, acme)
}

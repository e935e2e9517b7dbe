package ingress_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/ingress"
)

// memoryListener is a listener in memory. In a bubble of synctest its connections use virtual time, so the real limits are
// tested without waiting.
type memoryListener struct {
	t      testing.TB
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newMemoryListener(t testing.TB) *memoryListener {
	t.Helper()
	return &memoryListener{t: t, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (h *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *memoryListener) Close() error   { h.once.Do(func() { close(h.closed) }); return nil }
func (h *memoryListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

// client is a connection whose requests are written by hand.
type client struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	return &client{conn, t, bufio.NewReader(conn)}
}

func (h *memoryListener) dial() *client {
	h.t.Helper()
	near, far := net.Pipe()
	select {
	case h.conns <- far:
	case <-h.closed:
		h.t.Fatal("the listener is closed")
	}
	h.t.Cleanup(func() { _ = near.Close() })
	return newClient(h.t, near)
}

// say sends text and reports whether the server has read it all; it may hang up in between.
func (c *client) say(text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

// want reads one answer, compares its status, and checks what holds for every answer.
func (c *client) want(status int) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("half an answer: %v", err)
	}
	got := reply{resp.StatusCode, resp.Header}
	if resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" { // that is net/http's own
		wantSound(c.t, got, string(text))
	}
	wantStatus(c.t, got, status)
}

// wantHungUp waits for the end of the connection.
func (c *client) wantHungUp() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Errorf("the connection goes on with %q, %v", rest, err)
	}
}

const grace = 10 * time.Second

// serve runs a server in a bubble while do runs, and then expects it to end without an error.
func serve(t *testing.T, store ingress.Store, do func(h *memoryListener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, config(), store)
		h := newMemoryListener(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, h, nil, grace) }()
		do(h)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// post is a request without its body; extra are header lines that describe the body.
func post(secret string, extra ...string) string {
	return "POST /webhooks/acme HTTP/1.1\r\nHost: " + inventedHost + ":" + inventedPort + "\r\nX-Bridge-Key: " + secret + "\r\n" + strings.Join(extra, "\r\n") + "\r\n\r\n"
}

func length(n int) string { return "Content-Length: " + strconv.Itoa(n) }

func TestRunAnswers(t *testing.T) {
	t.Parallel()
	inChunks := fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", 10, good[:10], len(good)-10, good[10:])
	for name, tt := range map[string]struct {
		sent   string
		status int
		stored int
	}{
		"plain":             {post(oldSecret, length(len(good))) + good, 202, 1},
		"chunks":            {post(oldSecret, "Transfer-Encoding: chunked") + inChunks, 202, 1},
		"a wrong guess":     {post(wrongGuess, length(5000)), 401, 0},
		"lower case header": {strings.Replace(post(oldSecret, length(len(good))), "X-Bridge-Key", "x-bridge-key", 1) + good, 202, 1},
		"HTTP/1.0":          {strings.Replace(post(oldSecret, length(len(good))), "HTTP/1.1", "HTTP/1.0", 1) + good, 202, 1},
		"HTTP/1.0, no body": {strings.Replace(post(oldSecret), "HTTP/1.1", "HTTP/1.0", 1), 204, 0},
		"no length":         {post(oldSecret), 204, 0},
		"far too long":      {post(oldSecret, "Content-Length: 999999999999"), 413, 0},
		"negative length":   {post(oldSecret, "Content-Length: -1"), 400, 0},
		"two lengths":       {post(oldSecret, length(len(good)), length(3)), 400, 0},
		"a length of text":  {post(oldSecret, "Content-Length: many"), 400, 0},
		"odd encoding":      {post(oldSecret, "Transfer-Encoding: gzip, chunked"), 501, 0},
		"a large header":    {post(oldSecret, "X-Large: "+strings.Repeat("x", 8<<10)), 431, 0},
		"one that is not":   {post(oldSecret, length(len(good)), "X-Large: "+strings.Repeat("x", 7<<10)) + good, 202, 1},
		"many headers":      {post(oldSecret, strings.Repeat("A: b\r\n", 4<<10)+"C: d"), 431, 0},
		"a long path":       {strings.Replace(post(oldSecret), "/acme", "/"+strings.Repeat("a", 40<<10), 1), 431, 0},
		"an odd header":     {post(oldSecret, "X(Y): z"), 400, 0},
		"a broken chunk":    {post(oldSecret, "Transfer-Encoding: chunked") + "zz\r\n", 400, 0},
		"endless chunks":    {post(oldSecret, "Transfer-Encoding: chunked") + strings.Repeat("400\r\n"+strings.Repeat(" ", 1024)+"\r\n", 2), 413, 0},
		"a proxy's request": {strings.Replace(post(oldSecret, length(len(good))), "/webhooks", "http://"+inventedHost+"/webhooks", 1) + good, 202, 1},
		"CONNECT":           {"CONNECT " + inventedHost + ":443 HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0},
		"OPTIONS *":         {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404, 0},
		"no HTTP":           {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &memoryStore{}
			serve(t, store, func(h *memoryListener) {
				c := h.dial()
				go c.say(tt.sent)
				c.want(tt.status)
				_ = c.Close()
				synctest.Wait()
				if n := len(store.stored()); n != tt.stored {
					h.t.Errorf("%d events stored, want %d", n, tt.stored)
				}
				if len(store.deadLetters()) != 0 {
					h.t.Errorf("dead letters of a body that did not arrive: %+v", store.deadLetters())
				}
			})
		})
	}
}

// TestRunTimes: slow senders are cut off before they hold anything for long.
func TestRunTimes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sent   string
		after  time.Duration
		status int // 0 if there is no answer
	}{
		"says nothing":              {"", 5 * time.Second, 0},
		"half a header":             {post(oldSecret)[:30], 5 * time.Second, 0},
		"no body":                   {post(oldSecret, length(100)), 5 * time.Second, 408},
		"half a body":               {post(oldSecret, length(len(good))) + good[:50], 5 * time.Second, 408},
		"half a chunk":              {post(oldSecret, "Transfer-Encoding: chunked") + "64\r\n{", 5 * time.Second, 408},
		"no body, and a wrong key":  {post(wrongGuess, length(100)), 0, 401},
		"says nothing after a good": {post(oldSecret, length(len(good))) + good, 0, 202},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &memoryStore{}
			serve(t, store, func(h *memoryListener) {
				c := h.dial()
				began := time.Now()
				go c.say(tt.sent)
				if tt.status != 0 {
					c.want(tt.status)
				} else {
					c.wantHungUp()
				}
				if took := time.Since(began); took.Truncate(50*time.Millisecond) != tt.after { // a few bytes buy a few milliseconds
					h.t.Errorf("it took %s, want %s", took, tt.after)
				}
				if tt.status != 0 {
					c.wantHungUp()
					if took := time.Since(began) - tt.after; took > time.Second && (tt.status != 202 || took != config().IdleTimeout) {
						h.t.Errorf("the connection was kept for %s", took)
					}
				}
				if len(store.deadLetters()) != 0 {
					h.t.Errorf("dead letters of a body that did not arrive: %+v", store.deadLetters())
				}
			})
		})
	}
}

// TestRunDrips: sending a byte now and then gains hardly any time.
func TestRunDrips(t *testing.T) {
	t.Parallel()
	serve(t, &memoryStore{}, func(h *memoryListener) {
		c := h.dial()
		began := time.Now()
		go func() {
			c.say(post(oldSecret, length(len(good))))
			for i := 0; c.say(good[i : i+1]); i++ {
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
			}
		}()
		c.want(408)
		if took := time.Since(began); took.Truncate(50*time.Millisecond) != 5*time.Second {
			h.t.Errorf("it took %s", took)
		}
		_ = c.Close()
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble: the sender notices
	})
}

// TestRunSlowButInTime: the body takes nearly all of its time and the store all of its own; the answer still arrives.
func TestRunSlowButInTime(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.StoreTimeout, cfg.MaxBody = 30*time.Second, 64<<10
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, cfg, &memoryStore{publish: func(ctx context.Context) error {
			time.Sleep(29 * time.Second) //nolint:forbidigo // in a bubble
			return ctx.Err()
		}})
		h := newMemoryListener(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, h, nil, grace) }()
		c := h.dial()
		go func() { // as fast as it has to be
			text := padded(14 * 4 << 10)
			c.say(post(oldSecret, length(len(text))))
			for ; text != ""; text = text[4<<10:] {
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
				c.say(text[:4<<10])
			}
		}()
		c.want(202)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestRunSendsLess: a body that is shorter than announced is not kept.
func TestRunSendsLess(t *testing.T) {
	t.Parallel()
	store := &memoryStore{}
	s, _ := newServer(t, config(), store)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l, nil, grace) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := newClient(t, conn)
	c.say(post(oldSecret, length(len(good)+1)) + good)
	// It ends its side and still listens.
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.want(400)
	if len(store.stored())+len(store.deadLetters()) != 0 {
		t.Errorf("kept %+v, %+v", store.stored(), store.deadLetters())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRunHungUp: the sender disconnects as soon as its body is sent, like one with a short timeout. The event is kept.
func TestRunHungUp(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	store := &memoryStore{publish: func(ctx context.Context) error {
		close(entered)
		<-release
		return ctx.Err()
	}}
	s, _ := newServer(t, config(), store)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l, nil, grace) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, conn).say(post(oldSecret, length(len(good))) + good)
	<-entered
	_ = conn.Close()
	close(release)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := len(store.stored()); n != 1 {
		t.Errorf("%d events stored", n)
	}
}

// TestRunExpectContinue: a sender that waits for 100 Continue gets it only if the rest of the request is valid.
func TestRunExpectContinue(t *testing.T) {
	t.Parallel()
	serve(t, &memoryStore{}, func(h *memoryListener) {
		c := h.dial()
		go c.say(post(oldSecret, length(len(good)), "Expect: 100-continue"))
		c.want(100)
		go c.say(good)
		c.want(202)

		c = h.dial()
		go c.say(post(wrongGuess, length(len(good)), "Expect: 100-continue"))
		c.want(401)
		c.wantHungUp() // else the body could be taken for the next request

		c = h.dial()
		go c.say(post(oldSecret, length(5000), "Expect: 100-continue"))
		c.want(413)
		c.wantHungUp()
	})
}

// TestRunSmuggling: with a length and chunks two servers may see different ends of the body, so the request is refused, and
// nothing after it is read.
func TestRunSmuggling(t *testing.T) {
	t.Parallel()
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good)
	behind := post(oldSecret, length(len(good))) + good
	for name, tt := range map[string]struct {
		sent   string
		status []int
		stored int
	}{
		"length, chunks":       {post(oldSecret, "Content-Length: 4", "Transfer-Encoding: chunked") + chunks, []int{400}, 0},
		"chunks, length":       {post(oldSecret, "Transfer-Encoding: chunked", "cONTENT-lENGTH:4") + chunks, []int{400}, 0},
		"a length of nobody's": {post(wrongGuess, "Content-Length: 4", "Transfer-Encoding: chunked") + chunks, []int{400}, 0},
		"only chunks":          {post(oldSecret, "Transfer-Encoding: chunked") + chunks, []int{202}, 1},
		"behind a good one": {
			behind + post(oldSecret, "Content-Length: 4", "Transfer-Encoding: chunked") + chunks,
			[]int{202, 202},
			2,
		}, // it came with the other, so nobody has seen the length; the end is that of the chunks
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &memoryStore{}
			serve(t, store, func(h *memoryListener) {
				c := h.dial()
				go c.say(tt.sent + behind)
				for _, status := range tt.status {
					c.want(status)
				}
				c.wantHungUp()
				if n := len(store.stored()); n != tt.stored {
					h.t.Errorf("%d events stored, want %d", n, tt.stored)
				}
			})
		})
	}
}

// TestRunFinishes: at shutdown, requests in flight are finished and answered, and new connections are refused.
func TestRunFinishes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &memoryStore{publish: func(ctx context.Context) error { <-release; return ctx.Err() }}
		s, _ := newServer(t, config(), store)
		h := newMemoryListener(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, h, nil, grace) }()
		idle := h.dial()
		go idle.say(post(oldSecret, length(0)))
		idle.want(204)
		busy := h.dial()
		go busy.say(post(oldSecret, length(len(good))) + good)
		synctest.Wait()

		stop()
		synctest.Wait()
		idle.wantHungUp()
		select {
		case <-h.closed:
		default:
			t.Error("the listener still accepts connections")
		}
		select {
		case err := <-ended:
			t.Errorf("Run ends before the request: %v", err)
		default:
		}
		close(release)
		busy.want(202)
		busy.wantHungUp()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := len(store.stored()); n != 1 {
			t.Errorf("%d events stored", n)
		}
	})
}

// TestRunCutsOff: a request that takes longer than the grace is cut off, and Run reports it.
func TestRunCutsOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := newServer(t, config(), &memoryStore{publish: func(context.Context) error { <-release; return nil }})
		h := newMemoryListener(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, h, nil, grace) }()
		c := h.dial()
		go c.say(post(oldSecret, length(len(good))) + good)
		synctest.Wait()
		began := time.Now()
		stop()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != grace {
			t.Errorf("it took %s", took)
		}
		c.wantHungUp()
		close(release)
	})
}

// TestRunWithoutListener: a listener that fails ends Run with an error.
func TestRunWithoutListener(t *testing.T) {
	t.Parallel()
	s, _ := newServer(t, config(), &memoryStore{})
	h := newMemoryListener(t)
	_ = h.Close()
	if err := s.Run(t.Context(), h, nil, grace); err == nil || !strings.Contains(err.Error(), "webhook server") {
		t.Errorf("got %v", err)
	}
}

package hostile

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whoever knows no secret may guess as fast as they like.
func TestWrongSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a stranger guesses secrets", setting{})
	const guessers = 8
	var taken atomic.Int64
	var group sync.WaitGroup
	for g := range guessers {
		client := w.stranger(2 + g%2)
		group.Go(func() {
			for i := range scale(100, 20_000) {
				a := w.post(webhook{cloud: beta, client: client, secret: fmt.Sprintf("%s-%d", secretOf(beta)[:20], i)})
				if a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests {
					taken.Add(1)
				}
			}
		})
	}
	w.usual(beta)
	group.Wait()
	if n := taken.Load(); n > 0 {
		t.Errorf("%d guesses were answered with something else than 401 or 429", n)
	}
	w.aftermath(beta, acme)
}

// Whoever sends headers byte by byte has a connection for a while, and nothing else.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a stranger sends headers byte by byte", setting{spool: true})
	var group sync.WaitGroup
	end := time.Now().Add(time.Duration(scale(3, 60)) * time.Second)
	for i := range scale(60, 200) {
		c, err := w.dial(0, 2+i%50)
		must(t, err)
		group.Go(func() {
			text := "POST /webhooks/beta HTTP/1.1\r\nHost: bridge\r\nX-Slow: "
			for n := 0; time.Now().Before(end); n++ {
				b := byte('a')
				if n < len(text) {
					b = text[n]
				}
				if _, err := c.Write([]byte{b}); err != nil {
					return // the bridge may close it when it likes
				}
				w.pause(50 * time.Millisecond)
			}
		})
	}
	w.usual(beta)
	group.Wait()
	w.aftermath(beta, acme)
}

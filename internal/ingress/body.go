package ingress

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// bodyPatience is how long a body may take to start, and minRate the bytes per second it needs from then on, so that a body
	// that arrives too slowly is given up within seconds.
	bodyPatience = 5 * time.Second
	minRate      = 4 << 10

	// requestCost is the memory of a request besides its body: its goroutine, its header, its connection's buffers.
	requestCost = 16 << 10
	// firstRead is the buffer a body starts with, whatever length it announces. Most bodies are smaller; for a larger one the
	// buffer grows with what has actually arrived.
	firstRead = 4 << 10
)

// load is a request's part of the shared memory.
type load struct {
	shares *shares
	cloud  string
	taken  int64
}

func (l *load) take(n int64) bool {
	ok := l.shares.take(l.cloud, n)
	if ok {
		l.taken += n
	}
	return ok
}

func (l *load) free() {
	l.shares.give(l.cloud, l.taken)
	l.taken = 0
}

// read reads the body within the limits of size, of memory and of time.
func (s *Server) read(w http.ResponseWriter, r *http.Request, l *load) ([]byte, answer) {
	if !l.take(requestCost + firstRead) {
		return nil, overloaded.after(time.Second)
	}
	limited := http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
	body := make([]byte, 0, min(firstRead, s.cfg.MaxBody+1))
	conn, began := http.NewResponseController(w), time.Now()
	for {
		if len(body) == cap(body) {
			// Reading one byte more than allowed shows that the body is too large. A body and its decompressed form take twice MaxBody.
			more := min(int64(cap(body)), s.cfg.MaxBody+1-int64(cap(body)))
			if !l.take(more) {
				_ = conn.SetReadDeadline(past)
				return nil, overloaded.after(time.Second)
			}
			body = append(make([]byte, 0, int64(cap(body))+more), body...)
		}
		allowed := bodyPatience + time.Duration(len(body))*time.Second/minRate
		_ = conn.SetReadDeadline(began.Add(min(allowed, readTimeout))) // connections without deadlines have no slow senders
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == nil {
			continue
		}
		if errors.Is(err, io.EOF) {
			_ = conn.SetReadDeadline(time.Time{}) // the server sets the next one
			return body, answer{}
		}
		_ = conn.SetReadDeadline(past)
		return nil, s.unread(r, err)
	}
}

// past is an expired deadline. Without it, net/http would wait for the rest of the body before it answers.
var past = time.Unix(1, 0)

// unread returns the answer for a body that was not read to its end.
func (s *Server) unread(r *http.Request, err error) answer {
	var larger *http.MaxBytesError
	switch {
	case errors.As(err, &larger):
		return s.bodyTooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return slowBody
	case !errors.Is(err, io.ErrUnexpectedEOF):
		return brokenBody.because("the body is malformed, or the connection broke off")
	case r.ContentLength < 0:
		return brokenBody.because("the body ended before its last chunk")
	}
	return brokenBody
}

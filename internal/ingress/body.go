package ingress

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// bodyPatience is how long nothing of a body may come, and minRate how many bytes a second it has to bring from then on:
	// a body that drips is given up within seconds.
	bodyPatience = 5 * time.Second
	minRate      = 4 << 10

	// requestCost is what a request costs beside its body: its goroutine, its header, the buffers of its connection.
	requestCost = 16 << 10
	// firstRead is how much memory a body gets at once, whatever length it announces. Most are smaller; for a larger one
	// memory grows with what has really come.
	firstRead = 4 << 10
)

// load is a request's part of the memory that all may use.
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
			// One more byte than allowed shows that there is more. So a body and what it is unpacked to take twice MaxBody.
			more := min(int64(cap(body)), s.cfg.MaxBody+1-int64(cap(body)))
			if !l.take(more) {
				_ = conn.SetReadDeadline(past)
				return nil, overloaded.after(time.Second)
			}
			body = append(make([]byte, 0, int64(cap(body))+more), body...)
		}
		allowed := bodyPatience + time.Duration(len(body))*time.Second/minRate
		_ = conn.SetReadDeadline(began.Add(min(allowed, readTimeout))) // what cannot do this has no slow senders
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

// past is a deadline that is over: net/http reads the rest of a body before it answers, and would wait for it.
var past = time.Unix(1, 0)

// unread says why a body was not read to its end.
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

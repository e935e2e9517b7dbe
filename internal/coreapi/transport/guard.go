package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/internal/translate/content"
)

// guard stands between the transport and everybody else. Whatever a server answers and whatever the transport makes of
// it, a call ends with its context, and an answer holds no more headers than are known and no secrets of ours.
type guard struct {
	next   http.RoundTripper
	hidden *hidden
}

// linger is how long a transport may take to return after its request has ended. Only the transport knows whether the
// request was sent, and it waits for the read of a file that is under way, which may take a second.
const linger = 2 * time.Second

// returned is what a transport returns. body has the parts of the answer's body.
type returned struct {
	resp *http.Response
	body *io.PipeReader
	err  error
}

// RoundTrip returns when the transport does, or soon after the end of the request's context.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	ch := make(chan returned, 1)
	go func() { //nolint:contextcheck // it is that of the request. Ends with the body of the answer, or when nobody reads it any more
		resp, err := g.next.RoundTrip(r)
		if err != nil {
			ch <- returned{nil, nil, err}
			return
		}
		theirs := resp.Body
		if resp.StatusCode < 200 { // the body of a 101 is the connection itself
			_ = theirs.Close()
			theirs = http.NoBody
		}
		body, parts := io.Pipe()
		ch <- returned{resp, body, nil}
		pass(r.Context(), parts, theirs)
	}()
	select {
	case got := <-ch:
		return g.guarded(r, got)
	case <-r.Context().Done():
	}
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case got := <-ch:
		return g.guarded(r, got)
	case <-timer.C:
	}
	go func() { // ends when the transport does
		if got := <-ch; got.body != nil {
			_ = got.body.Close()
		}
	}()
	if c := callOf(r); c != nil {
		c.sent.Store(true) // it may have been
	}
	return nil, context.Cause(r.Context())
}

// known are the headers of an answer that anybody looks at.
var known = []string{"Content-Type", "Content-Encoding", "Date", "Retry-After", "Ratelimit", "Ratelimit-Policy"}

// guarded makes an answer safe, or the error instead of one, which may quote what the server sent.
func (g guard) guarded(r *http.Request, got returned) (*http.Response, error) {
	scrub := g.hidden.scrubber(secret.String(r.Header.Get("Authorization")))
	if got.err != nil {
		return nil, scrubbed(scrub, got.err)
	}
	resp := got.resp
	resp.Status = strconv.Itoa(resp.StatusCode)
	h := http.Header{}
	for _, name := range known {
		if values := resp.Header.Values(name); len(values) > 0 {
			h.Set(name, scrub.Text(values[0]))
		}
	}
	resp.Header, resp.Trailer = h, nil
	// By a buffer, since each read of the pipe has to wait for the other side.
	bounded := bufio.NewReaderSize(got.body, firstRead)
	// As UTF-8 from here on, or nobody would see a secret, or JSON, in it.
	body := content.Headers{Type: h.Get("Content-Type")}.Reader(errorScrubber{bounded, scrub})
	if c := callOf(r); c != nil && c.Op.ShowsSecrets() {
		body = translate.Redact(body)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{scrub.Reader(body), got.body}
	return resp, nil
}

// parts are the buffers by which bodies are read.
var parts = sync.Pool{New: func() any { return new(make([]byte, 32<<10)) }}

// firstRead is how much of a body is read at least at once.
const firstRead = 512

// pass passes a body on, until it or the context ends, whatever the reading of it does. What has come until then is passed on.
func pass(ctx context.Context, w *io.PipeWriter, body io.ReadCloser) {
	ended := make(chan struct{})
	over := context.AfterFunc(ctx, func() {
		go func() { _ = body.Close() }() // ends what reads it, if anything can
		timer := time.NewTimer(linger)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			w.CloseWithError(context.Cause(ctx))
		}
	})
	part := parts.Get().(*[]byte) //nolint:errcheck // nothing else is in the pool
	_, err := io.CopyBuffer(w, body, *part)
	parts.Put(part)
	close(ended)
	over()
	_ = body.Close()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	w.CloseWithError(err)
}

// errorScrubber takes the secrets out of the error of a body, which may quote what the server sent.
type errorScrubber struct {
	io.Reader
	scrub *secret.Scrubber
}

func (e errorScrubber) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = scrubbed(e.scrub, err)
	}
	return n, err
}

// scrubbed is an error without the secrets in its text, and without control characters.
func scrubbed(s *secret.Scrubber, err error) error {
	if text := factro.Escape(s.Text(err.Error())); text != err.Error() {
		return &scrubbedError{text, err}
	}
	return err
}

type scrubbedError struct {
	text string
	err  error
}

func (e *scrubbedError) Error() string { return e.text }
func (e *scrubbedError) Unwrap() error { return e.err }

package coreapi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/internal/coreapi/shape"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/transport"
	"github.com/factro-bridge/factro-bridge/internal/coreapi/upload"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// client makes single calls to the Core API. Retrying, pacing and the breaker are the worker's.
type client struct {
	base, userAgent string
	timeout         time.Duration
	http            *http.Client
}

// Attempt is one try at a call: what a span knows of it beside what the HTTP client sees, and the streams that are sent
// and taken.
type Attempt struct {
	Op     factro.Operation
	Number int
	state  string
	// May is asked right before the first byte is sent whether the call may still be made. It may be nil.
	May func() error
	// File is the content of the call's upload.
	File *upload.File
	// Take reads the body of a good answer, which then is not in the answer. Its error is one of ours, not of factro's.
	Take func(io.Reader) error
	// Counts tells that a failure speaks against factro, as that of a command, though the answer is taken as a stream.
	Counts bool
}

func newClient(c Config, next http.RoundTripper) *client {
	return &client{
		base: strings.TrimSuffix(c.URL, "/"), userAgent: c.UserAgent, timeout: c.Timeout,
		http: transport.NewClient(next, c.Hidden),
	}
}

// do makes one call. A failure is part of the answer. The timeout bounds the whole call; while a stream is sent or taken
// it begins again with parts of it, since a large file takes its time.
func (c *client) do(ctx context.Context, key secret.String, a Attempt, call translate.Call) Answer {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(c.timeout, func() { cancel(errSilent) })
	defer timer.Stop()
	var last atomic.Int64 // when the timeout began, by the clock of this process
	began := time.Now()
	alive := func() {
		last.Store(int64(time.Since(began)))
		timer.Reset(c.timeout)
	}
	late := func() bool { return time.Since(began)-time.Duration(last.Load()) > c.timeout+lateAfter }
	sending := &transport.Call{Op: a.Op, Number: a.Number, Breaker: a.state, May: a.May}
	req, err := c.request(transport.With(ctx, sending), key, a, call, alive)
	if err != nil {
		err = fmt.Errorf("no request can be made of it: %w", plain(err))
		return Answer{Err: err, Unsent: true, Ours: err}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{
			Err: cmp.Or(a.File.Failure(), why(ctx, plain(err))), Unsent: !sending.Sent(), Ours: cmp.Or(a.File.Failure(), sending.Barred()),
			Stale: sending.Stale() && ctx.Err() == nil, Late: late(),
		}
	}
	defer resp.Body.Close()
	got := Answer{Status: resp.StatusCode, Header: resp.Header}
	good := resp.StatusCode >= 200 && resp.StatusCode < 300
	if good {
		got.Malformed = shape.CheckKind(resp.StatusCode, resp.Header)
	}
	if good && a.Take != nil && got.Malformed == nil {
		timer.Stop()
		body := &watched{
			r: resp.Body, over: func() error { return context.Cause(ctx) },
			timer: timer, timeout: c.timeout, left: c.timeout,
		}
		got.Ours = a.Take(body)
		if wrong, ok := errors.AsType[*shape.Error](got.Ours); ok {
			got.Malformed, got.Ours = wrong, nil
		}
		if err = body.failed; err != nil {
			got.Malformed, got.Ours = nil, nil
		}
	} else {
		err = got.read(resp.Body, a)
	}
	if err != nil && good { // any other status speaks for itself, even if its text was cut off
		got.Body, got.Malformed, got.Err = nil, nil, fmt.Errorf("read the answer: %w", why(ctx, err))
		got.Late = a.Take == nil && late()
	}
	return got
}

// read reads the body of an answer that is not taken as a stream, and checks it if the status is that of success.
func (a *Answer) read(body io.Reader, try Attempt) (err error) {
	good := a.Status >= 200 && a.Status < 300
	most := maxAnswer
	if try.Take != nil || !good {
		most = MaxErrorText
	}
	a.Body, err = io.ReadAll(io.LimitReader(body, int64(most)+1))
	cut := len(a.Body) > most
	a.Body = a.Body[:min(len(a.Body), most)]
	switch {
	case err != nil, a.Malformed != nil, !good:
	case cut:
		a.Malformed = errCut
	default:
		a.Malformed = shape.CheckWhole(try.Op, a.Body)
	}
	if a.Malformed != nil { // a part of it is for people; a command that waits must not keep all of it
		a.Body = bytes.Clone(a.Body[:min(len(a.Body), MaxErrorText)])
	}
	if !utf8.Valid(a.Body) { // it becomes a part of JSON
		a.Body = bytes.ToValidUTF8(a.Body, []byte("\ufffd"))
	}
	return err
}

// ReadWhole reads an answer that is taken as a stream, but is small enough to be held, and checks its form.
func ReadWhole(op factro.Operation, body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxAnswer {
		return nil, errCut
	}
	return text, shape.CheckWhole(op, text)
}

func (c *client) request(ctx context.Context, key secret.String, a Attempt, call translate.Call, alive func()) (*http.Request, error) {
	var body io.Reader
	if call.Body != nil {
		body = bytes.NewReader(call.Body)
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, c.base+call.Target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", key.Reveal()) // raw: no Bearer or other scheme word (five sources)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	if call.ContentType != "" {
		req.Header.Set("Content-Type", call.ContentType)
	}
	if call.Upload != nil {
		return req, upload.SetBody(req, call.Upload, a.File, alive)
	}
	return req, nil
}

var (
	errCut     = shape.Malformed(fmt.Sprintf("more than %d bytes, which were not read to the end", maxAnswer))
	errEndless = shape.Malformed(fmt.Sprintf("more than %d bytes", maxStream))
)

// lateAfter is how much longer than its timeout a call lasts only in a process that stood still.
const lateAfter = time.Second

// errSilent ends a call in which nothing came for the length of the timeout.
var errSilent = errors.New("nothing came within the timeout")

// why returns the reason that a call was given up for, which the error of the client need not tell.
func why(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

// watched is a body that remembers how it failed. Each stretch of it has to come within the timeout. The time between the
// reads does not count: it is that of the place that the answer goes to.
type watched struct {
	r             io.Reader
	over          func() error // why the call was ended, or nil
	timer         *time.Timer  // ends the call; does not run between the reads
	timeout, left time.Duration
	got, all      int // bytes of this stretch, and of all
	failed        error
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.over(); err != nil {
		w.failed = err
		return 0, err
	}
	if w.all > maxStream {
		return 0, errEndless
	}
	began := time.Now()
	w.timer.Reset(w.left)
	n, err := w.r.Read(p)
	w.timer.Stop()
	w.left -= time.Since(began)
	w.all += n
	if w.got += n; w.got >= stretch {
		w.got, w.left = 0, w.timeout
	}
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed = err
	}
	return n, err
}

// plain takes the URL out of a client's error: ids belong in the result, not into every log line and span.
func plain(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client returns exactly this
		return u.Err
	}
	return err
}

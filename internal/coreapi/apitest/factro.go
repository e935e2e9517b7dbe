package apitest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// Diary is what happened, in its order.
type Diary struct {
	mu    sync.Mutex
	Lines []string
}

// Add writes a line.
func (d *Diary) Add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Lines = append(d.Lines, line)
}

// Count is how many lines begin with a text.
func (d *Diary) Count(prefix string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, line := range d.Lines {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func (d *Diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.Lines, "; ")
}

// Reply is one answer of the scripted factro.
type Reply struct {
	Status int
	Header map[string]string
	Body   string
	// Err is a failure instead of an answer; unsent one before the request was written.
	Err    error
	Unsent bool
	// Cut ends the body with an error. hang answers when the request is given up, delay when that time is over. drip is how
	// long each part of the body takes, of as many bytes.
	Cut, Hang   bool
	Delay, Drip time.Duration
	Part        int
}

// Fits is an answer in the form of each operation on one object that the tests use, and of the probe.
const Fits = `{"id":"t-1","totalUserCount":7}`

// OK is a good answer with this body.
func OK(body string) Reply { return Reply{Status: 200, Body: body} }

// Long is an answer of so many bytes in the form that a call wants: a list of tasks or a task.
func Long(r *http.Request, size int) string {
	begin, end := `{"id":"`, `"}`
	if strings.HasSuffix(r.URL.Path, "/tasks") {
		begin, end = `[`+begin, end+`]`
	}
	return begin + strings.Repeat("7", size-len(begin+end)) + end
}

// Factro is a scripted factro.
type Factro struct {
	*Diary
	mu     sync.Mutex
	Script func(r *http.Request, body string) Reply
	Seen   []*http.Request
	At     []time.Time
}

// RoundTrip answers a request as the script says.
func (a *Factro) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil { // in the middle of the request
			httptrace.ContextClientTrace(r.Context()).WroteHeaders()
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
		body = string(b)
	}
	a.Add("call " + r.Method + " " + r.URL.Path)
	a.mu.Lock()
	a.Seen, a.At = append(a.Seen, r), append(a.At, time.Now())
	answer := a.Script(r, body)
	a.mu.Unlock()
	if answer.Unsent {
		return nil, errors.New("dial tcp: connection refused")
	}
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	if answer.Hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if answer.Delay > 0 {
		if err := pause(r.Context(), answer.Delay); err != nil {
			return nil, err
		}
	}
	if answer.Err != nil {
		return nil, answer.Err
	}
	h := http.Header{}
	for k, v := range answer.Header {
		h.Set(k, v)
	}
	var text io.Reader = strings.NewReader(answer.Body)
	if answer.Cut {
		text = io.MultiReader(text, Failing{})
	}
	arriving := io.NopCloser(&coming{ctx: r.Context(), r: text, drip: answer.Drip, part: answer.Part})
	return &http.Response{StatusCode: answer.Status, Header: h, Body: arriving, Request: r, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// coming is a body on its way. It ends when the request is given up.
type coming struct {
	ctx        context.Context //nolint:containedctx // that of the request; a Reader takes none
	r          io.Reader
	drip       time.Duration
	part, left int // what of this part is not read
}

func (c *coming) Read(p []byte) (int, error) {
	if c.drip > 0 {
		if c.left == 0 {
			if err := pause(c.ctx, c.drip); err != nil {
				return 0, err
			}
			c.left = c.part
		}
		p = p[:min(len(p), c.left)]
	}
	n, err := c.r.Read(p)
	c.left -= n
	if n > 0 && c.ctx.Err() != nil {
		return 0, c.ctx.Err()
	}
	return n, err
}

// Failing is a body that breaks off.
type Failing struct{}

func (Failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Always answers every call alike, but for the probe.
func Always(answer Reply) func(*http.Request, string) Reply {
	return func(r *http.Request, _ string) Reply {
		if IsProbe(r) {
			return OK(Fits)
		}
		return answer
	}
}

// Sequence answers the calls one after the other, then always with the last; the probe is always well.
func Sequence(answers ...Reply) func(*http.Request, string) Reply {
	return func(r *http.Request, _ string) Reply {
		if IsProbe(r) {
			return OK(Fits)
		}
		a := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return a
	}
}

// IsProbe says whether a request is the cheap read that asks whether factro is well.
func IsProbe(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/users/quota") }

// Answers that are none, and one that is a failure.
var (
	Broken  = Reply{Status: 503, Body: "down"}
	Reset   = Reply{Err: errors.New("connection reset by peer")}
	Nowhere = Reply{Unsent: true}
)

// Keyed answers 401 to all but the good key.
func Keyed(good func() string) func(*http.Request, string) Reply {
	return func(r *http.Request, _ string) Reply {
		if r.Header.Get("Authorization") != good() {
			return Reply{Status: 401, Body: "Invalid CoreApiAccessToken provided!"}
		}
		return OK(`{"id":"t-9","totalUserCount":7}`)
	}
}

// Key is the API key that tests call the scripted factro with.
const Key = "eyJ-THE-API-KEY"

// pause waits, but not longer than a context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

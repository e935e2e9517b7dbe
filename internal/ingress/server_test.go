package ingress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// padded is a valid body of n bytes.
func padded(n int) string { return good + strings.Repeat(" ", n-len(good)) }

func body(text string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

func chunked(text string) func(*http.Request) {
	return func(r *http.Request) { body(text)(r); r.ContentLength = -1 }
}

func method(name string) func(*http.Request) { return func(r *http.Request) { r.Method = name } }

func path(p string) func(*http.Request) {
	return func(r *http.Request) { r.URL.Path, r.URL.RawPath = p, "" }
}

func key(values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header["X-Bridge-Key"] = values }
}

func all(changes ...func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		for _, change := range changes {
			change(r)
		}
	}
}

// TestAnswers changes one thing of a valid delivery in each row. A row's error is returned by the store.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change       func(*http.Request)
		store        error
		status       int
		stored, dead int
		header       http.Header
	}{
		"valid":                  {status: 202, stored: 1, header: http.Header{"Factro-Event-Id": {eventID}}},
		"chunked":                {change: chunked(good), status: 202, stored: 1},
		"no content type":        {change: func(r *http.Request) { r.Header.Del("Content-Type") }, status: 202, stored: 1},
		"a charset":              {change: func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=iso-8859-1") }, status: 202, stored: 1},
		"a wrong content type":   {change: func(r *http.Request) { r.Header.Set("Content-Type", "text/xml") }, status: 202, stored: 1},
		"byte order mark":        {change: body("\xef\xbb\xbf" + good), status: 202, stored: 1},
		"unknown action":         {change: body(`{"action":"Größer.>"}`), status: 202, stored: 1},
		"an odd id":              {change: body(`{"action":"A","id":"ä\r\nX-Evil: 1"}`), status: 202, stored: 1, header: http.Header{"Factro-Event-Id": {"%C3%A4%0D%0AX-Evil:%201"}}},
		"a query":                {change: func(r *http.Request) { r.URL.RawQuery = "a=b" }, status: 202, stored: 1},
		"an escaped path":        {change: func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/webhooks/acme", "/webhooks/%61cme" }, status: 202, stored: 1},
		"another header's case":  {change: func(r *http.Request) { r.Header.Del("X-Bridge-Key"); r.Header.Set("x-bridge-KEY", oldSecret) }, status: 202, stored: 1},
		"the new secret":         {change: key(newSecret), status: 202, stored: 1},
		"blanks around":          {change: key(" \t" + newSecret + "  "), status: 202, stored: 1},
		"GET":                    {change: method("GET"), status: 405, header: http.Header{"Allow": {"POST"}}},
		"HEAD":                   {change: method("HEAD"), status: 405},
		"GET, wrong secret":      {change: all(method("GET"), key(wrongGuess)), status: 401},
		"HEAD, no secret":        {change: all(method("HEAD"), body(""), key()), status: 204},
		"GET, a body, no secret": {change: all(method("GET"), body(good), key()), status: 401},
		"GET, chunks, no secret": {change: all(method("GET"), chunked(good), key()), status: 401},
		"GET, a body":            {change: all(method("GET"), body(good)), status: 405},
		"GET, a blank and one":   {change: all(method("GET"), key("", oldSecret)), status: 401},
		"GET, no secret":         {change: all(method("GET"), body(""), key()), status: 204},
		"empty POST":             {change: body(""), status: 204},
		"empty POST, no secret":  {change: all(body(""), key()), status: 204},
		"empty POST, wrong":      {change: all(body(""), key(wrongGuess)), status: 401},
		"empty and chunked":      {change: chunked(""), status: 204},
		"wrong secret":           {change: key(wrongGuess), status: 401, header: http.Header{"Www-Authenticate": {"Webhook"}}},
		"no secret":              {change: key(), status: 401},
		"an empty secret":        {change: key(""), status: 401},
		"a part of the secret":   {change: key(oldSecret[:len(oldSecret)-1]), status: 401},
		"the secret and more":    {change: key(oldSecret + "x"), status: 401},
		"another case":           {change: key(strings.ToUpper(oldSecret)), status: 401},
		"a scheme word":          {change: key("Bearer " + oldSecret), status: 401},
		"two values":             {change: key(oldSecret, oldSecret), status: 202, stored: 1},
		"two values in one":      {change: key(oldSecret + ", " + oldSecret), status: 202, stored: 1},
		"two in one, one wrong":  {change: key(oldSecret + ", " + wrongGuess), status: 401},
		"a large header":         {change: func(r *http.Request) { r.Header.Set("X-Large", strings.Repeat("x", 9<<10)) }, status: 431},
		"a prefix of nobody":     {change: path("/factro/webhooks/acme"), status: 404},
		"two values, one wrong":  {change: key(oldSecret, wrongGuess), status: 401},
		"the other cloud's":      {change: key(otherSecret), status: 401},
		"in another header":      {change: func(r *http.Request) { r.Header.Del("X-Bridge-Key"); r.Header.Set("Authorization", oldSecret) }, status: 401},
		"in the query":           {change: func(r *http.Request) { r.Header.Del("X-Bridge-Key"); r.URL.RawQuery = "X-Bridge-Key=" + oldSecret }, status: 401},
		"to the other cloud":     {change: path("/webhooks/other"), status: 401},
		"chunked, wrong":         {change: all(chunked(""), key(wrongGuess)), status: 401},
		"large, wrong":           {change: all(body(padded(5000)), key(wrongGuess)), status: 401},
		"unknown cloud":          {change: path("/webhooks/nobody"), status: 404},
		"GET to an unknown one":  {change: all(method("GET"), path("/webhooks/nobody")), status: 404},
		"another case of cloud":  {change: path("/webhooks/Acme"), status: 404},
		"no cloud":               {change: path("/webhooks/"), status: 404},
		"only webhooks":          {change: path("/webhooks"), status: 404},
		"root":                   {change: path("/"), status: 404},
		"metrics":                {change: all(method("GET"), path("/metrics")), status: 404},
		"a slash at the end":     {change: path("/webhooks/acme/"), status: 202, stored: 1},
		"a part at the end":      {change: path("/webhooks/acme/x"), status: 404},
		"two slashes":            {change: path("//webhooks/acme"), status: 202, stored: 1},
		"two slashes inside":     {change: path("/webhooks//acme"), status: 202, stored: 1},
		"dots":                   {change: path("/x/../webhooks/acme"), status: 404},
		"a dot":                  {change: path("/webhooks/./acme"), status: 404},
		"dots at the end":        {change: path("/webhooks/acme/.."), status: 404},
		"an escaped webhooks":    {change: func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/webhooks/acme", "/%77ebhooks/acme" }, status: 202, stored: 1},
		"an escaped slash":       {change: func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/webhooks/acme/x", "/webhooks/acme%2Fx" }, status: 404},
		"escaped dots":           {change: func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/webhooks/..", "/webhooks/%2e%2e" }, status: 404},
		"NUL":                    {change: path("/webhooks/acme\x00"), status: 404},
		"PUT":                    {change: method("PUT"), status: 405, header: http.Header{"Allow": {"POST, GET, HEAD"}}},
		"DELETE":                 {change: method("DELETE"), status: 405},
		"OPTIONS":                {change: method("OPTIONS"), status: 405},
		"an invented method":     {change: method("BREW"), status: 405},
		"at the limit":           {change: body(padded(1024)), status: 202, stored: 1},
		"at the limit, chunked":  {change: chunked(padded(1024)), status: 202, stored: 1},
		"one more":               {change: body(padded(1025)), status: 413},
		"one more, chunked":      {change: chunked(padded(1025)), status: 413},
		"announces far more":     {change: func(r *http.Request) { r.ContentLength = 1 << 60 }, status: 413},
		"not JSON":               {change: body(marker), status: 400, dead: 1},
		"not JSON, chunked":      {change: chunked(marker), status: 400, dead: 1},
		"blanks":                 {change: body(" \n"), status: 400, dead: 1},
		"a list":                 {change: body("[" + good + "]"), status: 400, dead: 1},
		"no action":              {change: body(`{"x":"` + marker + `"}`), status: 400, dead: 1},
		"compressed":             {change: all(body("\x1f\x8b\x08"), func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }), status: 400, dead: 1},
		"no action, no place":    {change: body(`{}`), store: errors.New("no leader"), status: 503, header: http.Header{"Retry-After": {"5"}}},
		"nothing can be stored":  {store: errors.New("no leader"), status: 503, header: http.Header{"Retry-After": {"5"}}},
		"too large for NATS":     {store: fmt.Errorf("publish: %w", events.ErrTooLarge), status: 413},
		"dead, and too large":    {change: body(`{}`), store: fmt.Errorf("publish: %w", events.ErrTooLarge), status: 413},
		"wrong, and no place":    {change: key(wrongGuess), store: errors.New("no leader"), status: 401},
		"probe, and no place":    {change: all(method("GET"), body(""), key()), store: errors.New("no leader"), status: 204},
		"the sender has hung up": {change: func(r *http.Request) { ctx, stop := context.WithCancel(r.Context()); stop(); *r = *r.WithContext(ctx) }, status: 202, stored: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A fake that asks the context first, as every real store does.
			ask := func(ctx context.Context) error {
				if _, bounded := ctx.Deadline(); !bounded {
					t.Error("the store has no deadline")
				}
				return errors.Join(ctx.Err(), tt.store)
			}
			store := &memoryStore{publish: ask, quarantine: ask}
			s, _ := newServer(t, config(), store)
			r := request(t, good)
			if tt.change != nil {
				tt.change(r)
			}
			resp := answer(t, s, r)
			wantStatus(t, resp, tt.status)
			if len(store.stored()) != tt.stored || len(store.deadLetters()) != tt.dead {
				t.Errorf("%d stored, %d dead, want %d and %d", len(store.stored()), len(store.deadLetters()), tt.stored, tt.dead)
			}
			for name, want := range tt.header {
				if got := resp.header.Values(name); len(got) != 1 || got[0] != want[0] {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if tt.status != 503 && tt.status != 429 && resp.header.Get("Retry-After") != "" {
				t.Error("Retry-After on a refusal that is permanent")
			}
		})
	}
}

func TestStored(t *testing.T) {
	t.Parallel()
	store := &memoryStore{}
	s, _ := newServer(t, config(), store)
	wantStatus(t, answer(t, s, request(t, good)), 202)
	r := request(t, `{"action":"ProjectCreated"}`)
	path("/webhooks/other")(r)
	r.Header.Set("Authorization", otherSecret)
	minted := answer(t, s, r)
	wantStatus(t, minted, 202)

	got := store.stored()
	if len(got) != 2 {
		t.Fatalf("%d events", len(got))
	}
	if e := got[0]; e.subject != "factro.event.acme.task.t-1.TaskStateChanged" || e.id != "acme."+eventID || e.event.Source() != "urn:factro:cloud:acme" ||
		string(e.event.Data()) != good || e.event.Extensions()["factroorigin"] != "webhook" || e.event.Extensions()["factrocloud"] != "acme" {
		t.Errorf("got %+v", e)
	}
	id := minted.header.Get("Factro-Event-Id")
	if e := got[1]; e.subject != "factro.event.other.project._.ProjectCreated" || e.id != "other."+id || e.event.ID() != id || len(id) != 36 {
		t.Errorf("got %+v, and the answer says %s", e, id)
	}
}

func TestQuarantined(t *testing.T) {
	t.Parallel()
	store := &memoryStore{}
	s, book := newServer(t, config(), store)
	const broken = `{"action":5,"x":"` + marker + `"}`
	for range 2 {
		wantStatus(t, answer(t, s, request(t, broken)), 400)
	}
	got := store.deadLetters()
	if len(got) != 2 || got[0].id == got[1].id {
		t.Fatalf("got %+v", got)
	}
	if d := got[0]; d.subject != "factro.dead.webhook.acme" || string(d.data) != broken || d.code != "unusable" ||
		!strings.HasPrefix(d.id, "acme.dead.") || !strings.Contains(d.reason, "action is a number") {
		t.Errorf("got %+v", d)
	}
	wantNothingShown(t, "the reason", got[0].reason)
	if !strings.Contains(book.String(), "dead letter") {
		t.Errorf("it is not logged: %s", book)
	}
}

// TestOversizedKept: a webhook whose event is too large for a message is kept completely as a dead letter, and the answer
// says so.
func TestOversizedKept(t *testing.T) {
	t.Parallel()
	store := &memoryStore{publish: func(context.Context) error { return fmt.Errorf("publish: %w", events.ErrTooLarge) }}
	s, book := newServer(t, config(), store)
	wantStatus(t, answer(t, s, request(t, good)), 413)
	got := store.deadLetters()
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	if d := got[0]; d.subject != "factro.dead.webhook.acme" || string(d.data) != good || d.code != "too_large" || !strings.HasPrefix(d.id, "acme.dead.") {
		t.Errorf("got %+v", d)
	}
	if !strings.Contains(book.String(), "raise its max_payload") {
		t.Errorf("it is not logged: %s", book)
	}
}

// TestAnswersOnlyWhatIsStored: no byte of a 202 is sent before the store has confirmed the event.
func TestAnswersOnlyWhatIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, _ := newServer(t, config(), &memoryStore{publish: func(context.Context) error { <-release; return nil }})
		answered := make(chan reply, 1)
		go func() { answered <- answer(t, s, request(t, good)) }()
		synctest.Wait() // the handler waits for the store
		select {
		case resp := <-answered:
			t.Errorf("%d before the event is stored", resp.status)
		default:
		}
		close(release)
		wantStatus(t, <-answered, 202)
	})
}

func TestStoreTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t, config(), &memoryStore{publish: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		began := time.Now()
		wantStatus(t, answer(t, s, request(t, good)), 503)
		if took := time.Since(began); took != config().StoreTimeout {
			t.Errorf("it took %s", took)
		}
	})
}

// TestAdmission: when all slots are taken, a request is refused at once; when one is free again, it is accepted.
func TestAdmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &memoryStore{publish: func(context.Context) error { <-release; return nil }}
		cfg := config()
		cfg.MaxInFlight = 2
		s, _ := newServer(t, cfg, store)
		answered := make(chan int, 2)
		for range 2 {
			go func() { answered <- answer(t, s, request(t, good)).status }()
		}
		synctest.Wait()

		began := time.Now()
		resp := answer(t, s, request(t, good))
		wantStatus(t, resp, 503)
		if resp.header.Get("Retry-After") != "1" || time.Since(began) != 0 {
			t.Errorf("Retry-After %q after %s", resp.header.Get("Retry-After"), time.Since(began))
		}
		// Even with all slots taken, strangers are refused and probes are answered.
		r := request(t, good)
		key(wrongGuess)(r)
		wantStatus(t, answer(t, s, r), 401)
		wantStatus(t, answer(t, s, request(t, "")), 204)

		close(release)
		for range 2 {
			if status := <-answered; status != 202 {
				t.Errorf("got %d", status)
			}
		}
		wantStatus(t, answer(t, s, request(t, good)), 202)
		if n := len(store.stored()); n != 3 {
			t.Errorf("%d events stored, want 3", n)
		}
	})
}

// TestPanic: a panic costs one request, is logged, and frees its slot.
func TestPanic(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.MaxInFlight = 1
	s, book := newServer(t, cfg, &memoryStore{publish: func(context.Context) error { panic("index out of range") }})
	for range 2 {
		wantStatus(t, answer(t, s, request(t, good)), 500)
	}
	if text := book.String(); !strings.Contains(text, `"level":"ERROR"`) || !strings.Contains(text, "index out of range") {
		t.Errorf("the log says %s", text)
	}
}

// TestStoreFailureIsLogged: the error is handled here, so it has to be logged here.
func TestStoreFailureIsLogged(t *testing.T) {
	t.Parallel()
	s, book := newServer(t, config(), &memoryStore{publish: func(context.Context) error { return errors.New("no leader") }})
	wantStatus(t, answer(t, s, request(t, good)), 503)
	if text := book.String(); strings.Count(text, "no leader") != 1 || !strings.Contains(text, `"cloud":"acme"`) {
		t.Errorf("the log says %s", text)
	}
}

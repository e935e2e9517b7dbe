package factro

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"math"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Budget is what an answer says of the request budget: 500 requests in 60 seconds, by example (one source).
type Budget struct {
	// Remaining requests, and the time until the budget is full again.
	Remaining int
	Reset     time.Duration
	// Quota is the whole budget, or 0 if the answer does not tell it.
	Quota int
	// Window is how long a window lasts, or 0 if the answer does not tell it.
	Window time.Duration
	// Partition stands for what the budget is counted by, or is "". Answers with the same one share a budget.
	Partition string
}

// BudgetOf reads the header ratelimit, such as `"500-in-1min"; r=499; t=60`, and the rest from the one that goes with it,
// ratelimit-policy, such as `"500-in-1min"; q=500; w=60; pk=:MGFkMmM5OTk2ZDQz:`.
func BudgetOf(h http.Header) (Budget, bool) {
	var b Budget
	var haveR, haveT bool
	for part := range strings.SplitSeq(h.Get("ratelimit")+";"+h.Get("ratelimit-policy"), ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if key == "pk" {
			b.Partition = partition(value)
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > math.MaxInt32 { // more seconds would overflow a Duration
			continue
		}
		switch key {
		case "r":
			b.Remaining, haveR = n, true
		case "t":
			b.Reset, haveT = time.Duration(n)*time.Second, true
		case "q":
			b.Quota = n
		case "w":
			b.Window = time.Duration(n) * time.Second
		}
	}
	return b, haveR && haveT
}

// maxPartition bounds what is kept of a partition key. The known ones have 16 characters.
const maxPartition = 128

// partition is the text of a structured field's byte sequence, or "" if it is none.
func partition(value string) string {
	text, begins := strings.CutPrefix(value, ":")
	text, ends := strings.CutSuffix(text, ":")
	if !begins || !ends || len(text) > maxPartition {
		return ""
	}
	return text
}

// PartitionOf returns the partition keys that a limiter may write for what it counts by, such as an API key. The documented form
// is the base64 of the first 12 hex digits of the SHA-256; the other one is that of the six bytes that they stand for.
func PartitionOf(counted string) [2]string {
	sum := sha256.Sum256([]byte(counted))
	return [2]string{
		base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:6]))),
		base64.StdEncoding.EncodeToString(sum[:6]),
	}
}

// maxWait bounds how long an answer can make us wait: a header that says days is a mistake.
const maxWait = time.Hour

// AsksToWait says how long an answer asks to be left alone for by the header Retry-After, in seconds or as a date. ok is false
// without the header, or if it holds neither. now is the time by the clock of whoever answers, unless the answer has a Date.
func AsksToWait(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" { // as usual
		return 0, false
	}
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		wait = time.Duration(min(seconds, int(maxWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		if date, err := http.ParseTime(h.Get("Date")); err == nil { // both are by the clock of whoever answers
			now = date
		}
		wait = at.Sub(now)
	} else {
		return 0, false
	}
	return min(max(wait, time.Second), maxWait), true
}

// RetryAfter says how long an answer that refuses or fails is followed by none: what AsksToWait says, else the reset of the
// budget, else a minute. Whether factro sends Retry-After is not known.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if wait, ok := AsksToWait(h, now); ok {
		return wait
	}
	wait := time.Minute
	if b, ok := BudgetOf(h); ok {
		wait = b.Reset
	}
	return min(max(wait, time.Second), maxWait)
}

var (
	markup = regexp.MustCompile(`(?s)<(?:style|script).*?</(?:style|script)>|<[^>]*>`)
	blanks = regexp.MustCompile(`\s+`)
)

// ErrorText returns one line for people out of an error's body, which factro writes as text, as JSON or as an HTML page,
// depending on the layer that answers. It is cut after a few hundred bytes.
func ErrorText(h http.Header, body []byte) string {
	text := string(body)
	var fields map[string]any
	if json.Unmarshal(body, &fields) == nil {
		for _, key := range []string{"message", "error", "detail", "title"} {
			if s, ok := fields[key].(string); ok && s != "" {
				text = s
				break
			}
		}
	} else if kind, _, _ := mime.ParseMediaType(h.Get("Content-Type")); kind == "text/html" {
		text = html.UnescapeString(markup.ReplaceAllString(text, " "))
	}
	text = strings.TrimSpace(blanks.ReplaceAllString(strings.ToValidUTF8(text, "\ufffd"), " "))
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return Escape(text)
}

// Escape makes what no printer shows visible, such as \x1b and \u202e: in a terminal or a log it could move the cursor,
// turn the direction of the text or begin a line.
func Escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) || unicode.Is(unicode.Zs, r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// IsUnknownRoute tells the 404 of a path that the API does not have, an HTML page, from that of an id that it does not
// have, which is text (observed). The texts by which common routers say that they have no way to the API are no word of it
// either.
func IsUnknownRoute(status int, h http.Header, body []byte) bool {
	if status != http.StatusNotFound {
		return false
	}
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	text := ErrorText(h, body)
	return kind == "text/html" || slices.ContainsFunc(noRoute, func(words string) bool { return strings.EqualFold(text, words) })
}

// noRoute are the texts of net/http and Traefik, of the default backend of Kubernetes, and of Kong.
var noRoute = []string{"404 page not found", "default backend - 404", "no Route matched with those values"}

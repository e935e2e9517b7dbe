package factro_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestBudgetOf(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct {
		budget factro.Budget
		ok     bool
	}{
		`"500-in-1min"; r=499; t=60`:                   {factro.Budget{Remaining: 499, Reset: time.Minute}, true},
		`"500-in-1min";r=0;t=1`:                        {factro.Budget{Reset: time.Second}, true},
		` t=5 ; r=7 `:                                  {factro.Budget{Remaining: 7, Reset: 5 * time.Second}, true},
		`"500-in-1min"; r=1; t=86400`:                  {factro.Budget{Remaining: 1, Reset: 24 * time.Hour}, true},
		`"500-in-1min"; r=1; t=9223372036854775807`:    {},
		`"500-in-1min"; r=1; t=9999999999999999999999`: {},
		`"500-in-1min"; r=-1; t=60`:                    {},
		`"500-in-1min"; r=499`:                         {},
		`"500-in-1min"; t=60`:                          {},
		`"500-in-1min"; r=many; t=60`:                  {},
		`nonsense`:                                     {},
		``:                                             {},
	} {
		got, ok := factro.BudgetOf(header("Ratelimit", value))
		if ok != want.ok || ok && got != want.budget {
			t.Errorf("%q: got %+v, %t, want %+v, %t", value, got, ok, want.budget, want.ok)
		}
	}
}

func TestBudgetQuota(t *testing.T) {
	t.Parallel()
	got, ok := factro.BudgetOf(header("Ratelimit", `"20-in-1min"; r=3; t=7`, "Ratelimit-Policy", `"20-in-1min"; q=20; w=60; pk=:MGFkMmM5OTk2ZDQz:`))
	if want := (factro.Budget{Remaining: 3, Reset: 7 * time.Second, Quota: 20, Window: time.Minute, Partition: "MGFkMmM5OTk2ZDQz"}); !ok || got != want {
		t.Errorf("got %+v, %t, want %+v", got, ok, want)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	budget := `"500-in-1min"; r=0; t=42`
	for name, tt := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"seconds":                  {header("Retry-After", "7", "Ratelimit", budget), 7 * time.Second},
		"a date":                   {header("Retry-After", now.Add(9*time.Second).Format(http.TimeFormat), "Ratelimit", budget), 9 * time.Second},
		"a date that is past":      {header("Retry-After", now.Add(-time.Hour).Format(http.TimeFormat)), time.Second},
		"a date far away":          {header("Retry-After", now.Add(300*24*time.Hour).Format(http.TimeFormat)), time.Hour},
		"blanks":                   {header("Retry-After", " 7 "), 7 * time.Second},
		"a date by factro's clock": {header("Retry-After", now.Add(9*time.Second).Format(http.TimeFormat), "Date", now.Add(4*time.Second).Format(http.TimeFormat)), 5 * time.Second},
		"zero":                     {header("Retry-After", "0"), time.Second},
		"a day":                    {header("Retry-After", "86400"), time.Hour},
		"a number too large":       {header("Retry-After", "99999999999999999999"), time.Minute},
		"would overflow":           {header("Retry-After", "9223372036854775807"), time.Hour},
		"negative":                 {header("Retry-After", "-5", "Ratelimit", budget), 42 * time.Second},
		"nonsense":                 {header("Retry-After", "soon", "Ratelimit", budget), 42 * time.Second},
		"only the budget":          {header("Ratelimit", budget), 42 * time.Second},
		"budget resets now":        {header("Ratelimit", `"x"; r=0; t=0`), time.Second},
		"budget in a day":          {header("Ratelimit", `"x"; r=0; t=86400`), time.Hour},
		"budget overflows":         {header("Ratelimit", `"x"; r=0; t=9223372036854775807`), time.Minute},
		"nothing":                  {header(), time.Minute},
	} {
		if got := factro.RetryAfter(tt.header, now); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

// TestAsksToWait: only a wish that can be read is one.
func TestAsksToWait(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "3600": time.Hour, "3601": time.Hour, "0": time.Second, "": -1, "soon": -1, "-5": -1, "7.5": -1,
		now.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
	} {
		got, ok := factro.AsksToWait(header("Retry-After", value), now)
		if ok != (want > 0) || ok && got != want {
			t.Errorf("%q: got %s, %t, want %s", value, got, ok, want)
		}
	}
}

// TestPartition: what a limiter counts by can be compared with what it says, in either form; text that is no partition key is none.
func TestPartition(t *testing.T) {
	t.Parallel()
	// By "printf sim-key | sha256sum | cut -c1-12".
	if got, want := factro.PartitionOf("sim-key"), ([2]string{"ZDQwYTI4MTcxYzFk", "1AooFxwd"}); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for value, want := range map[string]string{
		":MGFk:": "MGFk", "MGFk": "", ":MGFk": "", "MGFk:": "", "": "", ":": "", ":" + strings.Repeat("A", 129) + ":": "",
	} {
		b, ok := factro.BudgetOf(header("Ratelimit", `"x"; r=3; t=7`, "Ratelimit-Policy", `"x"; q=20; w=60; pk=`+value))
		if !ok || b.Partition != want {
			t.Errorf("%q: got %q, want %q", value, b.Partition, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	const page = "<!DOCTYPE html>\n<html><head><title>Error</title><style>p{color:red}</style></head><body>\n" +
		"<pre>Cannot GET /core/x&amp;y</pre><script>alert(1)\n</script></body></html>"
	for name, tt := range map[string]struct{ contentType, body, want string }{
		"text":             {"text/plain; charset=utf-8", "Rate limit exceeded", "Rate limit exceeded"},
		"lines":            {"text/plain", "  one\r\n\n two\t", "one two"},
		"JSON":             {"application/json", `{"message":"Task is closed"}`, "Task is closed"},
		"JSON as text":     {"text/html", `{"message":"a < b"}`, "a < b"},
		"message first":    {"application/json", `{"title":"t","error":"e","message":"m"}`, "m"},
		"error":            {"application/json", `{"title":"t","error":"e","message":""}`, "e"},
		"detail":           {"application/json", `{"title":"t","detail":"d"}`, "d"},
		"title":            {"application/json", `{"title":"t"}`, "t"},
		"message no text":  {"application/json", `{"message":{"de":"x"}}`, `{"message":{"de":"x"}}`},
		"a list":           {"application/json", `[{"message":"x"}]`, `[{"message":"x"}]`},
		"broken JSON":      {"application/json", `{"message":`, `{"message":`},
		"HTML":             {"text/html; charset=utf-8", page, "Error Cannot GET /core/x&y"},
		"HTML, odd header": {"TEXT/HTML", "<b>no</b>", "no"},
		"empty":            {"", "", ""},
		"blank":            {"", " \n ", ""},
		"not UTF-8":        {"text/plain", "a\xffb", "a\ufffdb"},
		"long":             {"text/plain", strings.Repeat("a", 301), strings.Repeat("a", 300) + "…"},
		"control":          {"text/plain", "a\x1b[31mred\x07\u009b\u202eevil\u2028b", `a\x1b[31mred\a\u009b\u202eevil\u2028b`},
		"control in JSON":  {"application/json", `{"message":"a\u001b[2J\u202e"}`, `a\x1b[2J\u202e`},
		"a blank of HTML":  {"text/html", "5&nbsp;&euro;", "5\u00a0€"},
		"cut in a letter":  {"text/plain", strings.Repeat("a", 299) + "ä", strings.Repeat("a", 299) + "…"},
	} {
		got := factro.ErrorText(header("Content-Type", tt.contentType), []byte(tt.body))
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
		if !utf8.ValidString(got) {
			t.Errorf("%s: not UTF-8: %q", name, got)
		}
	}
}

func TestIsUnknownRoute(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status            int
		contentType, body string
		want              bool
	}{
		"page":               {404, "text/html; charset=utf-8", "", true},
		"unknown id":         {404, "text/plain", `Task with id "t-1" not found`, false},
		"JSON":               {404, "application/json", `{"message":"Task not found"}`, false},
		"no type":            {404, "", "", false},
		"page of a proxy":    {502, "text/html", "", false},
		"a page that is 200": {200, "text/html", "", false},
		"a router's text":    {404, "text/plain; charset=utf-8", "404 page not found\n", true},
		"a default backend":  {404, "text/plain", "default backend - 404", true},
		"a gateway's JSON":   {404, "application/json", `{"message":"no Route matched with those values"}`, true},
	} {
		if got := factro.IsUnknownRoute(tt.status, header("Content-Type", tt.contentType), []byte(tt.body)); got != tt.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestWebLink(t *testing.T) {
	t.Parallel()
	const origin, mandant = "https://cloud.factro.com", "0a1b2c3d-0000-4000-8000-000000000001"
	for name, tt := range map[string]struct{ mandant, resource, id, want string }{
		"task":           {mandant, "task", "t-1", origin + "/0a1b2c3d/?p=task&pi=t-1"},
		"project":        {mandant, "project", "p", origin + "/0a1b2c3d/?p=project&pi=p"},
		"package":        {mandant, "package", "p", origin + "/0a1b2c3d/?p=package&pi=p"},
		"user":           {mandant, "user", "u", origin + "/0a1b2c3d/?p=employee&pi=u"},
		"odd id":         {mandant, "task", "a&b=ü", origin + "/0a1b2c3d/?p=task&pi=a%26b%3D%C3%BC"},
		"odd mandant":    {"../../xy", "task", "t", origin + "/..%2F..%2Fxy/?p=task&pi=t"},
		"no id":          {mandant, "task", "", ""},
		"no mandant":     {"", "task", "t", ""},
		"short mandant":  {"1234567", "task", "t", ""},
		"no known form":  {mandant, "company", "c", ""},
		"no resource":    {mandant, "", "c", ""},
		"employee alias": {mandant, "employee", "c", ""},
	} {
		if got := factro.WebLink(origin, tt.mandant, tt.resource, tt.id); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

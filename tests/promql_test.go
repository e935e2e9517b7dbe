package tests

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// query is what an expression of PromQL asks for, as far as it concerns us. Whether it is a right one is promtool's word,
// in CI; this reads names, and fails on what it cannot read.
type query struct {
	selectors []selector
	by        []string // the labels of all by, on and without
}

type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

var (
	promToken   = regexp.MustCompile(`^(?:\s+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9a-zA-Z.]*|\.[0-9]+|=~|!~|!=|==|>=|<=|[-+*/%^()\[\]{},=<>@])`)
	promName    = regexp.MustCompile(`^[a-zA-Z_:]`)
	promKeyword = strings.Fields("and or unless bool offset ignoring group_left group_right")
	promLabels  = strings.Fields("by on without")
	promCall    = strings.Fields(`abs absent avg changes count histogram_quantile increase label_values last_over_time max
		max_over_time min predict_linear rate sum time topk vector`)
)

func parseQuery(text string) (query, error) {
	text = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h").Replace(text)
	var tokens []string
	for rest := text; rest != ""; {
		token := promToken.FindString(rest)
		if token == "" {
			return query{}, fmt.Errorf("%q cannot be read at %q", text, rest)
		}
		rest = rest[len(token):]
		if strings.TrimSpace(token) != "" {
			tokens = append(tokens, token)
		}
	}
	p := promParser{tokens: tokens}
	for p.err == nil && len(p.tokens) > 0 {
		p.step()
	}
	if p.err != nil {
		return query{}, fmt.Errorf("%q: %w", text, p.err)
	}
	return p.query, nil
}

type promParser struct {
	tokens []string
	query  query
	err    error
}

func (p *promParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *promParser) next() string {
	token := p.peek()
	if token == "" {
		p.err = fmt.Errorf("it ends too early")
		return ""
	}
	p.tokens = p.tokens[1:]
	return token
}

func (p *promParser) step() {
	switch token := p.next(); {
	case token == "[": // a time
		for end := ""; p.err == nil && end != "]"; {
			end = p.next()
		}
	case token == "{":
		p.selector("")
	case !promName.MatchString(token), slices.Contains(promKeyword, token):
	case slices.Contains(promLabels, token):
		p.labels()
	case p.peek() == "(" || slices.Contains(promLabels, p.peek()):
		if !slices.Contains(promCall, token) {
			p.err = fmt.Errorf("the function %s is not known here", token)
		}
	case p.peek() == "{":
		p.next()
		p.selector(token)
	default:
		p.query.selectors = append(p.query.selectors, selector{metric: token})
	}
}

// labels reads a list such as (namespace, le).
func (p *promParser) labels() {
	if p.next() != "(" {
		p.err = fmt.Errorf("a list of labels is missing")
		return
	}
	for p.err == nil {
		switch token := p.next(); {
		case token == ")":
			return
		case promName.MatchString(token):
			p.query.by = append(p.query.by, token)
		}
	}
}

// selector reads what follows a brace.
func (p *promParser) selector(metric string) {
	s := selector{metric: metric}
	for p.err == nil {
		switch label := p.next(); label {
		case "}":
			p.query.selectors = append(p.query.selectors, s)
			return
		case ",":
		default:
			m := matcher{label: label, op: p.next(), value: p.next()}
			if p.err == nil && (!promName.MatchString(label) || len(m.value) < 2) {
				p.err = fmt.Errorf("%v is no matcher", m)
			}
			if p.err != nil {
				return
			}
			m.value = m.value[1 : len(m.value)-1]
			s.matchers = append(s.matchers, m)
		}
	}
}

func TestParseQuery(t *testing.T) {
	t.Parallel()
	got, err := parseQuery(`sum by (a, le) (rate(x_bucket{b=~"c|d", e!="f"}[$__rate_interval])) > 0.5 and on (g) y offset 5m`)
	want := `{[{x_bucket [{b =~ c|d} {e != f}]} {y []}] [a le g]}`
	if err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
	for _, bad := range []string{`x{a="b"`, `x{a=}`, `nonsense(x)`, `x § y`, `sum by a (x)`, `x[5m`} {
		if got, err := parseQuery(bad); err == nil {
			t.Errorf("%s is read as %v", bad, got)
		}
	}
}

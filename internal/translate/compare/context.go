package compare

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// Context is the context of a webhook or of a stored record in the form for comparison.
type Context struct {
	// Text is the whole context in one form: equal contexts have equal texts, whatever the order of their keys. It is empty
	// if there is no context.
	Text string
	// Values are the strings and numbers in it at any depth, the first 64.
	Values []string
	// NamesEntity reports whether one of them seems to be an object's id: the value is a UUID, or its key is id or ends in
	// Id (both inferred from the available examples).
	NamesEntity bool
}

// maxValues limits what is compared of one context. Real contexts are far smaller.
const maxValues = 64

// ContextOf returns the context in the body of a webhook or in a stored record, in the form for comparison. A body that is
// not a JSON object has none.
func ContextOf(body []byte) Context {
	body = jsontext.WithoutMark(body)
	var raw string
	if root := gjson.ParseBytes(body); root.IsObject() {
		raw = root.Get("context").Raw
	}
	var c Context
	var value any
	d := json.NewDecoder(strings.NewReader(jsontext.KeepApart(raw)))
	d.UseNumber() // so that large numbers stay different
	if d.Decode(&value) != nil || value == nil {
		return c
	}
	if text, err := json.Marshal(value); err == nil { // with sorted keys
		c.Text = string(text)
	}
	c.collect("", value)
	return c
}

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func (c *Context) collect(key string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for k, e := range v {
			c.collect(k, e)
		}
	case []any:
		for _, e := range v {
			c.collect(key, e)
		}
	case string:
		c.add(key, v)
	case json.Number:
		c.add(key, v.String())
	}
}

func (c *Context) add(key, value string) {
	if value == "" {
		return
	}
	if len(c.Values) < maxValues {
		c.Values = append(c.Values, value)
	}
	if key == "id" || strings.HasSuffix(key, "Id") || uuidForm.MatchString(value) {
		c.NamesEntity = true
	}
}

// Plain is the context in the form for comparison, like texts.
func (c Context) Plain() string {
	if !strings.ContainsFunc(c.Text, func(r rune) bool { return r == '.' || r == '\\' || r > '~' }) && !strings.Contains(c.Text, ` "`) && !strings.Contains(c.Text, `" `) {
		return c.Text // nothing to change in nearly all cases
	}
	return string(plainJSON([]byte(c.Text)))
}

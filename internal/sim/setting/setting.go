package setting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/timetext"
)

// Setting is one named value of Variants, Delivery or Fault. The command line, the control API and its help use the same table of
// settings, so that names are the same everywhere.
type Setting struct {
	Name, Doc string
	Get       func() any         // returns the value for JSON
	set       func(string) error // sets the value from text
}

// Boolean is true or false.
func Boolean(name string, p *bool, doc string) Setting {
	return Setting{name, doc, func() any { return *p }, func(text string) error {
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s: %q is neither true nor false", name, text)
		}
		*p = v
		return nil
	}}
}

// Number is a whole number.
func Number(name string, p *int, doc string) Setting {
	return Setting{name, doc, func() any { return *p }, func(text string) error {
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s: %q is not a whole number", name, text)
		}
		*p = v
		return nil
	}}
}

// Fraction is any number.
func Fraction(name string, p *float64, doc string) Setting {
	return Setting{name, doc, func() any { return *p }, func(text string) error {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%s: %q is not a number", name, text)
		}
		*p = v
		return nil
	}}
}

// Duration is a length of time.
func Duration(name string, p *time.Duration, doc string) Setting {
	return Setting{name, doc, func() any { return p.String() }, func(text string) error {
		v, err := timetext.Duration(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		*p = v
		return nil
	}}
}

// Text is any text.
func Text(name string, p *string, doc string) Setting {
	return Setting{name, doc, func() any { return *p }, func(text string) error {
		*p = text
		return nil
	}}
}

// Set sets the setting with this name. The error for an unknown name lists the known names.
func Set(settings []Setting, name, value string) error {
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return fmt.Errorf("unknown name %q, known are %s", name, strings.Join(names(settings), ", "))
	}
	return settings[i].set(value)
}

func names(settings []Setting) []string {
	out := make([]string, len(settings))
	for i, s := range settings {
		out[i] = s.Name
	}
	return out
}

// JSON returns an object with all values.
func JSON(settings []Setting) ([]byte, error) {
	m := make(map[string]any, len(settings))
	for _, s := range settings {
		m[s.Name] = s.Get()
	}
	return json.Marshal(m)
}

// FromJSON sets the values of an object. Unknown keys are errors: otherwise a misspelled fault would do nothing, and a test would pass
// by mistake.
func FromJSON(settings []Setting, data []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("not a JSON object: %w", err)
	}
	for name, raw := range m {
		value := string(bytes.TrimSpace(raw))
		switch {
		case strings.HasPrefix(value, `"`):
			if err := json.Unmarshal(raw, &value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		case value == "null" || strings.ContainsAny(value[:1], "{["):
			return fmt.Errorf("%s: %s is not a plain value", name, value)
		}
		if err := Set(settings, name, value); err != nil {
			return err
		}
	}
	return nil
}

// Help has one line for each setting.
func Help(settings []Setting) string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "  %-16s %s\n", s.Name, s.Doc)
	}
	return b.String()
}

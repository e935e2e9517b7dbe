// Package secret holds values that must never be shown: a string that does not print itself, and its sources.
//
// In: a file or a value of the configuration. Out: a String, whose text only Reveal returns. It never logs.
package secret

import (
	"errors"
	"fmt"
	"log/slog"
)

// hidden is what a String prints, so that a set secret differs from an empty one.
const hidden = "[hidden]"

// String is a secret. Printing, logging and marshalling give "[hidden]", or nothing if it is empty.
type String string

// Reveal returns the secret's text, for the one place that needs it.
func (s String) Reveal() string { return string(s) }

func (s String) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format hides the secret from every verb of fmt, %#v and %x included.
func (s String) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText hides the secret from JSON, YAML and other encodings.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the secret from a configuration.
func (s *String) UnmarshalText(text []byte) error { *s = String(text); return nil }

// LogValue hides the secret from slog.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Source is where a secret comes from. Exactly one of its fields must be set.
type Source struct {
	// File is the path of a file that holds the secret. It is read again while the bridge runs, so that a rotated
	// secret needs no restart. A byte order mark and blanks and line ends around the secret are not part of it.
	File string `yaml:"file" env:"FILE"`
	// Value is the secret itself, for trying things out.
	Value String `yaml:"value" env:"VALUE"`
}

// IsZero reports whether nothing is set.
func (s Source) IsZero() bool { return s == Source{} }

// Validate returns an error for an invalid source, without quoting the secret.
func (s Source) Validate() error {
	switch {
	case s.IsZero():
		return errors.New("no secret: set file or value")
	case s.File != "" && s.Value != "":
		return errors.New("file and value are both set; one secret has one source")
	case s.File == "":
		return s.Value.Check()
	}
	return nil
}

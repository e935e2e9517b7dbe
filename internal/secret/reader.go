package secret

import (
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
)

// Reader gives the current value of a secret.
type Reader struct {
	value String
	err   error
	file  *lastgood.Reader[String] // nil if the value is in the configuration
}

// NewReader returns a reader of the source. kind is the purpose of the secret, and checks are further conditions for it. It
// reads no file yet.
func NewReader(s Source, files *lastgood.Files, kind lastgood.Kind, checks ...func(String) error) *Reader {
	parse := func(text []byte) (String, error) {
		value, err := clean(text)
		for _, check := range checks {
			if err == nil {
				err = check(value)
			}
		}
		return value, err
	}
	r := &Reader{}
	if s.File != "" {
		r.file = lastgood.New(files, kind, func(contents [][]byte) (String, error) { return parse(contents[0]) }, s.File)
		return r
	}
	if r.value, r.err = parse([]byte(s.Value)); r.err != nil {
		r.value = ""
	}
	return r
}

// Get returns the current secret. If its file cannot be read in time or has no valid secret, it returns an error and the
// last good value: a file that is missing for a moment while it is replaced must not lock anybody out.
func (r *Reader) Get() (String, error) {
	if r.file == nil {
		return r.value, r.err
	}
	return r.file.Get()
}

package ingress

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/translate/content"
)

// delivery is a webhook that has arrived.
type delivery struct {
	body    []byte // as received
	content content.Headers
	header  http.Header // for a dead letter, without secrets
	load    *load
}

func (s *Server) newDelivery(c *cloud, r *http.Request, body []byte, l *load) delivery {
	return delivery{
		body: body, content: content.Headers{Type: r.Header.Get("Content-Type"), Encodings: r.Header.Values("Content-Encoding")},
		header: s.harmlessHeader(c, r.Header), load: l,
	}
}

// decode decompresses the body and converts it to UTF-8 where needed. One body at a time: a decoder may need several
// megabytes for its window, besides the memory that is charged to the cloud.
func (s *Server) decode(ctx context.Context, d delivery) ([]byte, answer, error) {
	if d.content.AsIs(d.body) {
		return d.body, answer{}, nil
	}
	select {
	case s.unpacking <- struct{}{}:
		defer func() { <-s.unpacking }()
	case <-ctx.Done():
		return nil, overloaded.after(time.Second), nil
	}
	body, err := d.content.Decode(d.body, s.cfg.MaxBody, d.load.take)
	switch {
	case errors.Is(err, content.ErrNoRoom):
		return nil, overloaded.after(time.Second), nil
	case errors.Is(err, content.ErrTooLarge):
		return nil, s.bodyTooLarge(), nil
	case errors.Is(err, content.ErrUnsupported):
		return nil, unsupported, err
	case err != nil:
		return nil, unusable, err
	}
	return body, answer{}, nil
}

const (
	// mostHeader limits what a dead letter keeps of a request's headers.
	mostHeader = 4 << 10
)

// confidentialNames are parts of the names of headers that may carry a secret.
var confidentialNames = []string{"auth", "secret", "token", "password", "cookie", "credential", "signature", "key"}

// harmlessHeader returns the headers of a request that a dead letter may keep: none that authenticates, and none that
// contains a secret of any cloud. If not all fit, those that describe the body come first.
func (s *Server) harmlessHeader(c *cloud, header http.Header) http.Header {
	names := slices.SortedFunc(maps.Keys(header), func(a, b string) int {
		if of := strings.HasPrefix(a, "Content-"); of != strings.HasPrefix(b, "Content-") {
			if of {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	out, left := http.Header{}, mostHeader
	for _, name := range names {
		values := header[name]
		size := len(name) + len(strings.Join(values, ""))
		if strings.EqualFold(name, c.Header) || isConfidential(name) || size > left || s.holdsSecret(values) {
			continue
		}
		out[name] = slices.Clone(values)
		left -= size
	}
	return out
}

func isConfidential(name string) bool {
	lower := strings.ToLower(name)
	return slices.ContainsFunc(confidentialNames, func(part string) bool { return strings.Contains(lower, part) })
}

// holdsSecret reports whether a value contains a secret of any cloud.
func (s *Server) holdsSecret(values []string) bool {
	for _, c := range s.clouds {
		for _, text := range c.authenticator.secrets() {
			if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, text) }) {
				return true
			}
		}
	}
	return false
}

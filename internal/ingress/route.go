package ingress

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/connlimit"
)

// prefixForm is the form of http.path_prefix.
var prefixForm = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?$`)

// segments are the parts of a path. Double slashes and trailing slashes are ignored: people and proxies add them, and a
// redirect to the clean path would turn a webhook into a GET.
func segments(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// cloudOf is the name of the cloud in a path: /webhooks/{cloud}, with or without http.path_prefix, since a proxy may have
// removed it. Escaped characters are decoded, but an escaped slash does not separate segments.
func (s *Server) cloudOf(u *url.URL) (name string, ok bool) {
	parts := segments(u.EscapedPath())
	for i := range parts {
		part, err := url.PathUnescape(parts[i])
		if err != nil || strings.Contains(part, "/") {
			return "", false
		}
		parts[i] = part
	}
	if n := len(s.prefix); len(parts) == n+2 && slices.Equal(parts[:n], s.prefix) {
		parts = parts[n:]
	}
	if len(parts) != 2 || parts[0] != "webhooks" {
		return "", false
	}
	return parts[1], true
}

// Handler is the HTTP interface.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connlimit.Of(r.Context()).Handled()
		if len(r.TransferEncoding) > 0 && r.ProtoMajor == 1 {
			// If a proxy sees the end of the body elsewhere, the next request on this connection could be another client's.
			w.Header().Set("Connection", "close")
		}
		name, ok := s.cloudOf(r.URL)
		switch {
		case headerSize(r) > s.cfg.MaxHeader:
			s.nowhere(w, r, largeHeader)
		case !ok:
			s.nowhere(w, r, nothingHere)
		default:
			r.SetPathValue("cloud", name)
			s.observed(w, r)
		}
	})
}

// headerSize is the approximate size of a request's header in HTTP/1.1.
func headerSize(r *http.Request) int {
	size := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("Host: ") + len(r.Host) + len("\r\n\r\n\r\n")
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	return size
}

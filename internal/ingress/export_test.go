package ingress

import "net/http"

// Missing is how many webhooks are unaccounted for.
func (s *Server) Missing() (n int64, ok bool) { return s.account.missing(s.cfg.Kept) }

// Authenticates compares the secret of a request for a cloud, and does nothing else.
func (s *Server) Authenticates(cloud string, r *http.Request) bool {
	return s.clouds[cloud].authenticator.refuses(r) == ""
}

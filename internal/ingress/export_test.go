package ingress

import "net/http"

// Missing is the metric of what is not accounted for.
func (s *Server) Missing() (n int64, ok bool) { return s.account.missing(s.cfg.Kept) }

// Admits compares the secret of a request for a cloud, and does nothing else.
func (s *Server) Admits(cloud string, r *http.Request) bool {
	return s.clouds[cloud].door.refuses(r) == ""
}

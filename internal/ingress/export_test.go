package ingress

// Missing is the metric of what is not accounted for.
func (s *Server) Missing() (n int64, ok bool) { return s.account.missing(s.cfg.Kept) }

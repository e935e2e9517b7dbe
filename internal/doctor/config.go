package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
)

func checkValid(_ context.Context, s *session) (found []Finding) {
	if s.ConfigErr == nil {
		return nil
	}
	for _, line := range lines(s.ConfigErr) {
		if strings.HasPrefix(line, "configuration ") && strings.HasSuffix(line, ":") { // the name of what was read
			continue
		}
		found = append(found, Finding{Level: Problem, About: s.ConfigFile, What: strings.TrimSpace(line), Fix: strings.TrimSpace("bridge config check " + s.ConfigFile)})
	}
	return found
}

// checkHints reports what is possible and probably a mistake, as "bridge config check" does, but for what other checks report.
func checkHints(_ context.Context, s *session) (found []Finding) {
	for _, text := range s.Checked.Cautions {
		if strings.Contains(text, ".webhook.header: ") || strings.Contains(text, "http.max_body: ") {
			continue
		}
		found = append(found, Finding{Level: Warning, About: s.ConfigFile, What: text, Fix: strings.TrimSpace("bridge config check " + s.ConfigFile)})
	}
	return found
}

func checkHeaders(_ context.Context, s *session) (found []Finding) {
	if !s.Checked.Has(config.RoleIngress) {
		return notHere()
	}
	for i, cloud := range s.Checked.Clouds {
		if header := cloud.Webhook.Header; strings.ContainsAny(header, "_.") {
			found = append(found, Finding{
				Level: Warning, Cloud: cloud.Name, About: fmt.Sprintf("clouds[%d].webhook.header", i),
				What: fmt.Sprintf("the name of the header, %s, has _ or . in it", header),
				Fix:  "header: " + strings.NewReplacer("_", "-", ".", "-").Replace(header),
			})
		}
	}
	return found
}

// balancerIdle is how long nginx keeps a connection unless its configuration says otherwise, which is the longest of common defaults
// but for Google's.
const balancerIdle = 75 * time.Second

func checkIdle(_ context.Context, s *session) []Finding {
	idle := s.Checked.HTTP.IdleTimeout
	switch {
	case !s.Checked.Has(config.RoleIngress):
		return notHere()
	case idle > balancerIdle:
		return nil
	}
	return []Finding{{
		Level: Note, About: "http.idle_timeout", Fix: "http: {idle_timeout: " + config.Default().HTTP.IdleTimeout.String() + "}",
		What: fmt.Sprintf("connections are closed after %s without a request; a balancer with the usual times keeps them for up to %s", idle, balancerIdle),
	}}
}

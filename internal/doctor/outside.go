package doctor

import (
	"context"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/config"
)

func checkWebhook(ctx context.Context, s *session) (found []Finding) {
	if !s.Checked.Has(config.RoleIngress) {
		return notHere()
	}
	if s.Webhook == nil {
		return []Finding{{
			Level: Unknown, What: "it was not tried, since it stores an event",
			Fix: s.command("doctor --canary --webhook-url https://bridge.example.com/webhooks/" + s.Checked.Clouds[0].Name),
		}}
	}
	for _, cloud := range s.Checked.Clouds {
		to, err := s.Webhook(ctx, cloud)
		if err != nil {
			found = append(found, Finding{
				Level: Problem, Cloud: cloud.Name, About: to, What: err.Error(), Fix: s.command(fmt.Sprintf("canary --cloud %s --webhook-url %s", cloud.Name, to)),
			})
		}
	}
	return found
}

func checkCollectors(ctx context.Context, s *session) (found []Finding) {
	if len(s.Collectors) == 0 {
		return fine("the environment names no collector")
	}
	for _, c := range s.Collectors {
		about, fix := c.Variable, "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"
		if about == "" {
			about = c.Signal
		}
		err := c.Err
		if err == nil {
			err = s.Dial(ctx, c.Address, c.Secure)
			fix = "nc -vz " + hostAndPort(c.Address)
		}
		if err != nil {
			found = append(found, Finding{Level: Warning, About: about, What: fmt.Sprintf("%s cannot be sent: %v", c.Signal, err), Fix: fix})
		}
	}
	return found
}

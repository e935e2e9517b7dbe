package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

func checkConnect(_ context.Context, s *session) []Finding {
	if e := s.Checked.NATS.Embedded; s.NATS == nil && e.DataDir != "" && e.Listen == "" {
		return []Finding{{
			Level: Unknown, About: "nats.embedded.listen", What: "only the bridge itself reaches its NATS server",
			Why: "nothing of the streams can be checked from outside", Fix: `nats: {embedded: {listen: "127.0.0.1:4222"}}`,
		}}
	}
	if s.NATSErr != nil {
		return []Finding{{Level: Problem, About: "nats.url", What: s.NATSErr.Error(), Fix: "nats server check connection -s " + secret.Address(s.Checked.NATS.URL)}}
	}
	if s.NATS == nil {
		return []Finding{unknown("nobody has said how to connect")}
	}
	return nil
}

func checkVersion(_ context.Context, s *session) (found []Finding) {
	server := s.facts().Server
	for _, f := range server.Missing {
		level := Note
		if f.Required {
			level = Problem
		}
		found = append(found, Finding{
			Level: level, About: server.Name, What: fmt.Sprintf("the server is of version %s, and %s need %s or later", server.Version, f.Name, f.Least()),
			Why: f.Without, Fix: "nats server list   # the versions of all servers",
		})
	}
	return found
}

// tooOld says that no more than the version of the server is known, since it is too old.
func (s *session) tooOld() (Finding, bool) {
	for _, f := range s.facts().Server.Missing {
		if f.Required {
			return unknown("the server is too old to ask it, see nats-version"), true
		}
	}
	return Finding{}, false
}

// without says why nothing is known of what is in JetStream.
func (s *session) without() (Finding, bool) {
	if f, old := s.tooOld(); old {
		return f, true
	}
	if s.facts().NoJetStream {
		return unknown("there is no JetStream, see nats-jetstream"), true
	}
	return Finding{}, false
}

func checkJetStream(_ context.Context, s *session) []Finding {
	if f, old := s.tooOld(); old {
		return []Finding{f}
	}
	f := s.facts()
	wanted := s.Checked.NATS.Domain
	switch {
	case f.NoJetStream:
		return []Finding{{Level: Problem, About: "nats.url", What: f.AccountErr.Error(), Fix: "nats account info"}}
	case f.AccountErr != nil:
		return []Finding{unknown("the account cannot be looked at: %v", f.AccountErr)}
	case wanted != "" && f.Account.Domain != wanted:
		return []Finding{{
			Level: Warning, About: "nats.domain", What: fmt.Sprintf("the domain is %q there, and %q in the configuration", f.Account.Domain, wanted),
			Fix: "nats: {domain: " + f.Account.Domain + "}",
		}}
	}
	return nil
}

func checkAccount(_ context.Context, s *session) (found []Finding) {
	if f, not := s.without(); not {
		return []Finding{f}
	}
	f := s.facts()
	switch {
	case f.AccountErr != nil:
		return []Finding{unknown("the limits of the account cannot be seen: %v", f.AccountErr)}
	case f.Account.Tiered:
		return []Finding{unknown("the account has limits for each number of replicas, which are not compared; nats account info shows them")}
	}
	a := f.Account
	var missing int
	var bytes int64
	for _, stream := range f.Streams {
		if stream.Err != nil {
			found = append(found, unknown("what room is needed is not known: %v", stream.Err))
			break
		}
		if !stream.Found {
			missing++
			bytes += stream.Size
		}
		if a.MaxStream > 0 && stream.Size > a.MaxStream && stream.Kind.Setting() != "" {
			found = append(found, Finding{
				Level: Warning, Cloud: stream.Cloud, About: stream.Name,
				What: fmt.Sprintf("one stream of the account may hold %d MiB, and %s is %d MiB", a.MaxStream>>20, stream.Kind.Setting(), stream.Size>>20),
				Fix:  fmt.Sprintf("%s: %dMiB", stream.Kind.Setting(), a.MaxStream>>20),
			})
		}
	}
	if a.MaxStreams > 0 && a.Streams+missing > a.MaxStreams {
		found = append(found, Finding{
			Level: Problem, About: "max_streams", Fix: fmt.Sprintf("max_streams: %d", a.Streams+missing),
			What: fmt.Sprintf("the account may have %s, has %d, and %d of the bridge are missing", plural.Of(a.MaxStreams, "stream"), a.Streams, missing),
		})
	}
	reserved := int64(max(a.Reserved, a.Stored)) //nolint:gosec // far below the limit
	if a.MaxStored > 0 && bytes > 0 && reserved+bytes > a.MaxStored {
		found = append(found, Finding{
			Level: Warning, About: "max_store", Fix: fmt.Sprintf("max_store: %dMiB", (reserved+bytes)>>20),
			What: fmt.Sprintf("the account may store %d MiB, %d MiB of it are taken, and the missing streams of the bridge need %d MiB", a.MaxStored>>20, reserved>>20, bytes>>20),
		})
	}
	if a.MaxStored > 0 && a.Stored*10 > uint64(a.MaxStored)*9 {
		found = append(found, Finding{
			Level: Warning, About: "max_store", Fix: "nats stream report",
			What: fmt.Sprintf("the account has stored %d MiB of the %d MiB that it may", a.Stored>>20, a.MaxStored>>20), Why: "what is new is refused when all of it is used",
		})
	}
	return found
}

func checkPermissions(_ context.Context, s *session) (found []Finding) {
	if f, not := s.without(); not {
		return []Finding{f}
	}
	f := s.facts()
	if f.PermissionsErr != nil {
		return []Finding{unknown("%v", f.PermissionsErr)}
	}
	for _, p := range f.Permissions {
		if !p.Refused {
			continue
		}
		level, what := Problem, "publish"
		if p.Optional {
			level = Warning
		}
		if p.Subscribe {
			what = "subscribe"
		}
		found = append(found, Finding{
			Level: level, Cloud: p.Cloud, About: p.Role, What: fmt.Sprintf("the user may not %s to %s, which the role %s needs", what, p.Allow, p.Role),
			Why: p.For, Fix: fmt.Sprintf("permissions: {%s: {allow: [%q]}}", what, p.Allow),
		})
	}
	return found
}

func checkPayload(_ context.Context, s *session) []Finding {
	if f, not := s.without(); not {
		return []Finding{f}
	}
	f := s.facts()
	known := topology.Limits{Payload: f.Server.MaxPayload, Messages: map[string]int64{}}
	for _, stream := range f.Streams {
		if stream.Kind == topology.Events && stream.MaxMessage > 0 {
			known.Messages[stream.Cloud] = stream.MaxMessage
		}
	}
	cloud, text := "", ""
	if s.Checked.Has("ingress") {
		cloud, text = s.Checked.Unfit(known)
	}
	if text == "" {
		return nil
	}
	about, what, _ := strings.Cut(text, ": ")
	return []Finding{{Level: Warning, Cloud: cloud, About: about, What: what, Fix: fmt.Sprintf("max_payload: %d", int64(s.Checked.HTTP.MaxBody)+topology.HeaderRoom)}}
}

// Differences of clocks that count. Below clockNoise an answer that took long explains them.
const (
	clockNoise   = 2 * time.Second
	clockProblem = topology.ClockSkew
)

func checkClock(_ context.Context, s *session) []Finding {
	if f, not := s.without(); not {
		return []Finding{f}
	}
	var worst time.Duration
	known := false
	for _, stream := range s.facts().Streams {
		if !stream.Found {
			continue
		}
		known = true
		if off := max(0, stream.Ahead.Abs()-stream.Within); off > worst.Abs() {
			worst = off
			if stream.Ahead < 0 {
				worst = -off
			}
		}
	}
	switch {
	case !known:
		return []Finding{unknown("no stream of the bridge can be looked at, and only their servers tell the time")}
	case worst.Abs() <= clockNoise:
		return nil
	}
	level := Warning
	if worst.Abs() > clockProblem {
		level = Problem
	}
	return []Finding{{Level: level, What: "a server of NATS is " + ahead(worst), Fix: "timedatectl status"}}
}

// ahead says how another clock differs from ours.
func ahead(d time.Duration) string {
	if d < 0 {
		return d.Abs().Round(time.Second).String() + " behind this machine"
	}
	return d.Round(time.Second).String() + " ahead of this machine"
}

// checkSync finds out how often a server writes its files to the disk. Only its monitoring shows that.
func checkSync(ctx context.Context, s *session) []Finding {
	if s.Checked.NATS.Embedded.DataDir != "" {
		return fine("the embedded server writes each message to the disk before it acknowledges it")
	}
	if s.Monitoring == "" {
		return []Finding{{
			Level: Unknown, What: "the server shows its sync interval only in its monitoring, whose address is not known",
			Fix: s.command("doctor --check nats --monitoring http://127.0.0.1:8222"),
		}}
	}
	sync, err := syncInterval(ctx, s.Monitoring)
	switch {
	case err != nil:
		return []Finding{unknown("the monitoring of NATS does not answer: %v", err)}
	case sync <= 0:
		return nil
	}
	one := Finding{Level: Warning, About: s.facts().Server.Name, What: fmt.Sprintf("the server writes to the disk every %s", sync), Fix: "jetstream: {sync_interval: always}"}
	for _, stream := range s.facts().Streams {
		if stream.Found && stream.Replicas < 2 {
			return []Finding{one}
		}
	}
	one.Level, one.What = Note, one.What+", and all streams have copies on other servers"
	one.Why = "only if all servers that hold a stream lose their power at once, messages of that time are gone"
	return []Finding{one}
}

// syncInterval is how long a server may wait before it writes to the disk; 0 if it never waits.
func syncInterval(ctx context.Context, monitoring string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(monitoring, "/")+"/jsz?config=true", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("--monitoring: %s is not an address such as http://127.0.0.1:8222", secret.Address(monitoring))
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Config *struct {
			Interval time.Duration `json:"sync_interval"`
			Always   bool          `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil || answer.Config == nil {
		return 0, fmt.Errorf("what answers at %s with %s is no monitoring of a NATS server with JetStream", secret.Address(monitoring), resp.Status)
	}
	if answer.Config.Always {
		return 0, nil
	}
	if answer.Config.Interval == 0 {
		return 2 * time.Minute, nil // the server's default
	}
	return answer.Config.Interval, nil
}

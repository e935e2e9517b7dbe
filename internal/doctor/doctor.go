package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/inspect"
	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/telemetry"
)

// NATS reads the facts of a server.
type NATS interface {
	Look(ctx context.Context, roles []string) inspect.Facts
}

// Factro asks one cloud of factro, each time with one request.
type Factro interface {
	Ask(ctx context.Context, operation, data string) Answer
}

// Disk says what is known of a directory.
type Disk interface {
	// Free is how many bytes are available there, FileSystem the name of what it is on, such as tmpfs; "" if it is an ordinary disk.
	Free(dir string) (int64, error)
	FileSystem(dir string) (string, error)
}

// Input is what the checks look at. Of the functions and interfaces those may be nil whose checks are not to be made.
type Input struct {
	// Checked is the configuration, ConfigErr what is wrong with it. Without a valid one most checks cannot be made.
	Checked   config.Checked
	ConfigErr error
	// ConfigFile is its name, for lines to copy.
	ConfigFile string
	// NATS reads the server's facts, or NATSErr is why there is no connection.
	NATS    NATS
	NATSErr error
	// Monitoring is the address of the server's HTTP monitoring, or "".
	Monitoring string
	// Factro makes the way to a cloud.
	Factro func(cloud config.Cloud) (Factro, error)
	// Webhook sends a canary through the webhook path of a cloud; nil if nobody has asked for that. It returns where it was sent.
	Webhook func(ctx context.Context, cloud config.Cloud) (to string, err error)
	Disk    Disk
	// Collectors are where telemetry is sent.
	Collectors []telemetry.Collector
	// Dial opens a connection to an address, with TLS if secure, and closes it.
	Dial func(ctx context.Context, address string, secure bool) error
	Now  func() time.Time
}

// Check is one check of the table.
type Check struct {
	// Name and Group are stable. Title says what is good, as a sentence.
	Name, Group, Title string
	// Why says why it matters, and Help what to do, for the documents.
	Why, Help string
	// Needs are what it cannot be made without: config, nats, factro, files, monitoring, canary, network.
	Needs []string
	run   func(context.Context, *session) []Finding
}

// session is one run of the checks. What several checks look at is read once.
type session struct {
	Input
	facts  func() inspect.Facts
	asked  map[string]*asked
	counts map[string]int
}

// Groups are the groups of checks, in their order.
func Groups() (names []string) {
	for _, c := range Checks() {
		if !slices.Contains(names, c.Group) {
			names = append(names, c.Group)
		}
	}
	return names
}

// Run makes the checks of some groups, or of all if groups is empty. It changes nothing. It ends with ctx; what could not be made by
// then is unknown.
func Run(ctx context.Context, in Input, groups []string) Report {
	s := &session{Input: in, asked: map[string]*asked{}, counts: map[string]int{}}
	s.facts = sync.OnceValue(func() inspect.Facts { return s.NATS.Look(ctx, s.Checked.Roles) })
	report := Report{Checks: []Result{}}
	for _, c := range Checks() {
		if len(groups) > 0 && !slices.Contains(groups, c.Group) {
			continue
		}
		report.add(c.result(s.make(ctx, c)))
	}
	report.OK = report.Problems == 0
	report.Requests = s.counts
	report.scrub(s.hide())
	return report
}

// make makes one check, or says why it cannot be made.
func (s *session) make(ctx context.Context, c Check) []Finding {
	var why string
	switch {
	case ctx.Err() != nil:
		why = "there was no time left for it; see --timeout"
	case slices.Contains(c.Needs, "config") && s.ConfigErr != nil:
		why = "the configuration has mistakes, see " + configValid
	case slices.Contains(c.Needs, "nats") && s.NATS == nil:
		why = "there is no connection to NATS, see " + natsConnect
	case slices.Contains(c.Needs, "factro") && s.Factro == nil:
		why = "nobody has said how to call factro"
	default:
		return c.run(ctx, s)
	}
	return []Finding{{Level: Unknown, What: why}}
}

// result completes what was found: a check without findings is good, and each finding says why it matters.
func (c Check) result(found []Finding) Result {
	r := Result{Name: c.Name, Group: c.Group, Findings: found}
	if len(found) == 0 {
		r.Findings = []Finding{{Level: OK, What: c.Title}}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		r.Level = max(r.Level, f.Level)
		if f.Why == "" && f.Level != OK {
			f.Why = c.Why
		}
	}
	return r
}

// hide returns a function that takes the secrets of the configuration out of a text.
func (s *session) hide() func(string) string {
	var known []secret.String
	add := func(from secret.Source) {
		if value, _ := secret.NewReader(from, nil, "").Get(); value != "" {
			known = append(known, value)
		}
	}
	for _, cloud := range s.Checked.Clouds {
		add(cloud.API.Key)
		for _, from := range cloud.Webhook.Secrets {
			add(from)
		}
	}
	add(secret.Source{File: s.Checked.NATS.PasswordFile})
	scrubber := secret.NewScrubber(known...)
	return func(text string) string { return scrubber.Text(secret.Scrub(text)) }
}

// lines are the lines of an error that joins several.
func lines(err error) []string {
	return slices.DeleteFunc(strings.Split(err.Error(), "\n"), func(s string) bool { return strings.TrimSpace(s) == "" })
}

// fine is a check that has nothing to look at, or that is good in another way than its title says.
func fine(what string) []Finding {
	return []Finding{{Level: OK, What: what}}
}

// notHere is what a check of webhooks says in a process that takes none.
func notHere() []Finding { return fine("this process takes no webhooks") }

// command is a line of ours with the configuration.
func (s *session) command(words string) string {
	if s.ConfigFile == "" {
		return "bridge " + words
	}
	return "bridge " + words + " --config " + s.ConfigFile
}

// unknown is a check that could not be made.
func unknown(format string, args ...any) Finding {
	return Finding{Level: Unknown, What: fmt.Sprintf(format, args...)}
}

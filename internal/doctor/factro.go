package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/secret"
)

// Answer is what factro has answered to one request.
type Answer struct {
	// Sent says that a request was made. Err is why there was no answer.
	Sent   bool
	Err    error
	Status int
	Header http.Header
	// Malformed says that the answer is not in factro's form, as one of a proxy.
	Malformed bool
	// Text is what an answer that is an error says, for people.
	Text string
	// Began and Took are when the request was made and how long it took.
	Began time.Time
	Took  time.Duration
	// Key is the API key, and KeyErr why there is none.
	Key    secret.String
	KeyErr error
}

// MostRequests is how many requests the checks make to each cloud at most.
const MostRequests = 1 + mostSamples

// mostSamples is how many operations are tried beside the first request, and leastLeft how many requests have to be left for that.
const mostSamples, leastLeft = 3, 50

// first is the request that shows the key, the budget and the clock: a few counters of the key's user.
const first = "getUserQuota"

// asked is what a cloud has answered.
type asked struct {
	answer  Answer
	err     error // of the way to factro
	cloud   Factro
	samples []sample
	sampled bool
}

type sample struct {
	operation, data string
	answer          Answer
}

// ask makes the first request to a cloud, once.
func (s *session) ask(ctx context.Context, cloud config.Cloud) *asked {
	if a := s.asked[cloud.Name]; a != nil {
		return a
	}
	a := &asked{}
	s.asked[cloud.Name] = a
	if a.cloud, a.err = s.Factro(cloud); a.err == nil {
		a.answer = s.request(ctx, cloud, a.cloud, first, "{}")
	}
	return a
}

// request makes a request and counts it.
func (s *session) request(ctx context.Context, cloud config.Cloud, api Factro, operation, data string) Answer {
	answer := api.Ask(ctx, operation, data)
	if answer.Sent {
		s.counts[cloud.Name]++
	}
	return answer
}

// eachCloud asks all clouds, if the process calls factro at all.
func (s *session) eachCloud(ctx context.Context, judge func(config.Cloud, *asked) []Finding) (found []Finding) {
	if !s.Checked.Calls() {
		return fine("this process does not call factro")
	}
	for i, cloud := range s.Checked.Clouds {
		for _, f := range judge(cloud, s.ask(ctx, cloud)) {
			f.Cloud = cloud.Name
			if f.About == "" {
				f.About = fmt.Sprintf("clouds[%d].api", i)
			}
			found = append(found, f)
		}
	}
	return found
}

// curl is a line that makes the first request, with the key in its file.
func curl(cloud config.Cloud) string {
	op, _ := factro.Lookup(first)
	key := "KEY"
	if cloud.API.Key.File != "" {
		key = "$(cat " + cloud.API.Key.File + ")"
	}
	return fmt.Sprintf("curl -si -H \"Authorization: %s\" %s%s", key, secret.Address(cloud.API.URL), op.Path)
}

func checkKey(ctx context.Context, s *session) []Finding {
	return s.eachCloud(ctx, func(cloud config.Cloud, a *asked) []Finding {
		one := func(level Level, what, fix string) []Finding { return []Finding{{Level: level, What: what, Fix: fix}} }
		switch {
		case a.err != nil:
			return one(Problem, a.err.Error(), "bridge config check "+s.ConfigFile)
		case a.answer.KeyErr != nil:
			return one(Problem, "there is no API key: "+a.answer.KeyErr.Error(), rewrite(cloud.API.Key.File))
		case a.answer.Err != nil && !a.answer.Sent:
			return one(Problem, "factro cannot be reached: "+a.answer.Err.Error(), curl(cloud))
		case a.answer.Err != nil:
			return one(Problem, "factro does not answer: "+a.answer.Err.Error(), curl(cloud))
		case a.answer.Status == http.StatusUnauthorized:
			return one(Problem, "factro does not accept the key: "+a.answer.Text, rewrite(cloud.API.Key.File))
		case a.answer.Status == http.StatusTooManyRequests:
			return one(Unknown, "factro answers that no requests are left, see factro-budget", curl(cloud))
		case a.answer.Malformed, a.answer.Status/100 != 2:
			return one(Problem, a.answer.Text, curl(cloud))
		}
		return validUntil(a.answer.Key, s.Now(), cloud)
	})
}

// validUntil judges how long a key is valid that factro accepts. Only a key that is a token says so itself.
func validUntil(key secret.String, now time.Time, cloud config.Cloud) []Finding {
	end := expiry(key.Reveal())
	switch {
	case end.IsZero():
		return []Finding{{Level: OK, What: "factro accepts the key; until when, neither factro nor the key says"}}
	case until(end, now) == OK:
		return []Finding{{Level: OK, What: "factro accepts the key, which " + days(end, now)}}
	}
	return []Finding{{Level: until(end, now), What: "the key " + days(end, now), Fix: rewrite(cloud.API.Key.File)}}
}

// answered says why nothing can be read out of an answer, if so.
func answered(a *asked) (Finding, bool) {
	if a.err != nil || a.answer.KeyErr != nil || a.answer.Err != nil || a.answer.Malformed {
		return unknown("factro has not answered, see factro-key"), false
	}
	return Finding{}, true
}

func checkBudget(ctx context.Context, s *session) []Finding {
	partitions := map[string]string{}
	return s.eachCloud(ctx, func(cloud config.Cloud, a *asked) (found []Finding) {
		if f, ok := answered(a); !ok {
			return []Finding{f}
		}
		b, known := factro.BudgetOf(a.answer.Header)
		if !known {
			return []Finding{unknown("the answer has no header RateLimit, so the budget is not known")}
		}
		add := func(level Level, what, fix string) {
			found = append(found, Finding{Level: level, What: what, Fix: fix})
		}
		of := fmt.Sprintf("%d of %d requests are left for %s", b.Remaining, b.Quota, b.Reset)
		switch {
		case b.Remaining == 0:
			add(Warning, "no requests are left for "+b.Reset.String(), curl(cloud))
		case b.Quota > 0 && b.Remaining*10 < b.Quota:
			add(Warning, of, curl(cloud))
		}
		if n := cloud.API.RequestsPerMinute; b.Quota > 0 && b.Window > 0 && float64(n) > float64(b.Quota)/b.Window.Minutes() {
			add(Warning, fmt.Sprintf("api.requests_per_minute is %d, and factro allows %d in %s", n, b.Quota, b.Window), fmt.Sprintf("requests_per_minute: %d", b.Quota))
		}
		names := factro.PartitionOf(a.answer.Key.Reveal())
		byKey := b.Partition == names[0] || b.Partition == names[1]
		switch other, shared := partitions[b.Partition]; {
		case b.Partition == "":
			found = append(found, unknown("factro does not say whose budget it is"))
		case shared:
			add(Note, "the budget is that of the cloud "+other+" too", s.command("query getUserQuota --cloud "+cloud.Name))
		case !byKey:
			add(Note, "factro does not count by this key, but by a user or an address: who shares that shares the budget", curl(cloud))
		}
		partitions[b.Partition] = cloud.Name
		if len(found) == 0 {
			found = []Finding{{Level: OK, What: of + "; they are counted by this key"}}
		}
		return found
	})
}

// samples are the reads that are tried for the roles of a process.
func samplesOf(c config.Config, now time.Time) (all []sample) {
	add := func(operation, data string) {
		for _, s := range all {
			if s.operation == operation {
				return
			}
		}
		if len(all) < mostSamples {
			all = append(all, sample{operation: operation, data: data})
		}
	}
	if c.Has(config.RoleReconcile) {
		since, _ := json.Marshal(map[string]string{"startDate": now.UTC().Format("2006-01-02T15:04:05.000Z")}) // strings
		add("listWebhookPayloads", string(since))
	}
	if c.Has(config.RoleEgress) || c.Has(config.RoleQuery) {
		add("listProjects", "{}")
	}
	if c.Has(config.RoleMirror) {
		for _, resource := range c.Mirror.Resources {
			if of, ok := factro.MirrorOf(resource); ok && of.Each == "" && of.List.Name != "" {
				add(of.List.Name, "{}")
			}
		}
	}
	return all
}

func checkRights(ctx context.Context, s *session) []Finding {
	return s.eachCloud(ctx, func(cloud config.Cloud, a *asked) (found []Finding) {
		if f, ok := answered(a); !ok || a.answer.Status/100 != 2 {
			if ok {
				f = unknown("factro has refused the first request, see factro-key")
			}
			return []Finding{f}
		}
		if b, known := factro.BudgetOf(a.answer.Header); known && b.Remaining < leastLeft {
			return []Finding{unknown("only %d requests are left, and these are for the bridge", b.Remaining)}
		}
		if !a.sampled {
			a.samples, a.sampled = samplesOf(s.Checked.Config, s.Now()), true
			for i := range a.samples {
				a.samples[i].answer = s.request(ctx, cloud, a.cloud, a.samples[i].operation, a.samples[i].data)
			}
		}
		for _, sample := range a.samples {
			switch got := sample.answer; {
			case got.Err != nil:
				found = append(found, unknown("%s was not answered: %v", sample.operation, got.Err))
			case got.Status == http.StatusForbidden:
				found = append(found, Finding{
					Level: Warning, About: sample.operation, What: "factro refuses it to this key: " + got.Text,
					Fix: s.command(fmt.Sprintf("query %s --cloud %s", sample.operation, cloud.Name)),
				})
			case got.Malformed, got.Status/100 != 2:
				found = append(found, unknown("%s: %s", sample.operation, got.Text))
			}
		}
		return found
	})
}

// Differences between factro's clock and ours. An answer tells full seconds.
const (
	factroNoise   = 5 * time.Second
	factroProblem = 15 * time.Minute
)

func checkFactroClock(ctx context.Context, s *session) []Finding {
	return s.eachCloud(ctx, func(_ config.Cloud, a *asked) []Finding {
		if f, ok := answered(a); !ok {
			return []Finding{f}
		}
		date, err := http.ParseTime(a.answer.Header.Get("Date"))
		if err != nil {
			return []Finding{unknown("the answer has no header Date")}
		}
		off := date.Sub(a.answer.Began.Add(a.answer.Took / 2))
		level := Warning
		switch {
		case max(0, off.Abs()-a.answer.Took/2) <= factroNoise:
			return nil
		case off.Abs() > factroProblem:
			level = Problem
		}
		return []Finding{{Level: level, What: "factro is " + ahead(off), Fix: "timedatectl status"}}
	})
}

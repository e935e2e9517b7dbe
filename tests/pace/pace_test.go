package pace

import (
	"fmt"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/sim"
)

const (
	quota  = 500
	window = time.Minute
)

func slow(latency time.Duration) sim.Faults {
	return sim.Faults{{Kind: sim.FaultLatency, Delay: latency}}
}

// TestFull: 5,000 commands that wait are called within 2 % of the time that the budget allows for them, which is ten windows, and none
// is refused.
func TestFull(t *testing.T) {
	for _, latency := range []time.Duration{50 * time.Millisecond, 250 * time.Millisecond, time.Second, 2 * time.Second} {
		t.Run(latency.String(), func(t *testing.T) {
			if !*measure {
				t.Skip("it takes ten minutes; see -pace")
			}
			t.Parallel()
			commands := *backlog
			allowed := time.Duration(commands) * window / quota
			s := newSite(t, sim.Config{Faults: slow(latency)})
			s.streams("")
			s.fill(commands, "import")
			s.start("")
			s.until(allowed*12/10, "all results are there", func() bool { return s.settled() == commands })
			first, last := s.factro.between()
			took := last.Sub(first)
			used, refused, _ := s.windows(quota)
			r := row{
				name: "answers after " + latency.String(), commands: commands, took: took, part: 100 * took.Seconds() / allowed.Seconds(), refused: refused, used: used,
				atOnce: s.factro.mostAtOnce(), truths: s.truthOf(),
			}
			table.add(r)
			if r.part > 102 || refused > 0 || len(s.wrong) > 0 {
				t.Errorf("%s for %d commands, %.1f %% of %s; %d refused; %v", took, commands, r.part, allowed, refused, s.wrong)
			}
			if latency <= 250*time.Millisecond && r.atOnce > 8 {
				t.Errorf("%d calls at once, want at most 8", r.atOnce)
			}
			s.judge(r)
			t.Logf("%s for %d commands: %.2f %%; %d calls at once at most", took, commands, r.part, r.atOnce)
		})
	}
}

// judge checks what senders were told.
func (s *site) judge(r row) {
	s.t.Helper()
	if r.truths.all == 0 || r.truths.part() < 0.9 {
		s.t.Errorf("%d of %d times that senders were told came true within 20 %%", r.truths.true, r.truths.all)
	}
	if n := s.silent(10 * time.Second); n > 0 {
		s.t.Errorf("%d senders waited longer than 10 s and heard nothing", n)
	}
}

// TestStranger: another program spends half of the budget at random. Of what it leaves at least 97 % is used, and at most one request
// is refused in a window.
func TestStranger(t *testing.T) {
	for _, burst := range []int{1, 5} {
		t.Run(fmt.Sprintf("%d at once", burst), func(t *testing.T) {
			if !*measure {
				t.Skip("it takes six minutes; see -pace")
			}
			t.Parallel()
			const commands, windows = 1750, 7
			s := newSite(t, sim.Config{Faults: slow(250 * time.Millisecond), Variants: sim.Variants{StrangerShare: 0.5, StrangerBurst: burst}})
			s.streams("")
			s.fill(commands, "import")
			s.start("")
			s.until(windows*window*15/10, "all results are there", func() bool { return s.settled() == commands })
			first, last := s.factro.between()
			took := last.Sub(first)
			used, refused, most := s.windows(quota)
			r := row{
				name: fmt.Sprintf("half spent by others, %d at once", burst), commands: commands, took: took, part: 100 * took.Seconds() / (windows * window).Seconds(), refused: refused,
				used: used, atOnce: s.factro.mostAtOnce(), truths: s.truthOf(),
			}
			table.add(r)
			if used < 97 || most > 1 {
				t.Errorf("%.1f %% of what was left is used, %d refused in a window", used, most)
			}
			s.judge(r)
		})
	}
}

// TestFair: while one sender has 10,000 commands waiting, a command of another one is called within 2 s, and so is one of the same
// sender with the priority high.
func TestFair(t *testing.T) {
	for _, latency := range []time.Duration{250 * time.Millisecond, 2 * time.Second} {
		t.Run(latency.String(), func(t *testing.T) {
			if !*measure {
				t.Skip("it takes three minutes; see -pace")
			}
			t.Parallel()
			s := newSite(t, sim.Config{Faults: slow(latency)})
			s.streams("")
			s.fill(10_000, "import")
			s.start("")
			s.until(time.Minute, "the first result is there", func() bool { return s.settled() > 0 })
			const each = 45
			for i := range each {
				s.send(fmt.Sprintf("single-%d", i), "person", "")
				s.sleep(2 * time.Second)
				s.send(fmt.Sprintf("high-%d", i), "import", "high")
				s.sleep(2 * time.Second)
			}
			s.sleep(10 * time.Second)
			s.windows(quota)
			for _, kind := range []string{"single", "high"} {
				var all []time.Duration
				for i := range each {
					id := fmt.Sprintf("%s-%d", kind, i)
					at := s.factro.called(id)
					if at.IsZero() {
						t.Errorf("%s is not called", id)
						continue
					}
					all = append(all, at.Sub(s.sent[id]))
					if d := at.Sub(s.sent[id]); d > 2*time.Second {
						t.Errorf("%s is called after %s", id, d)
					}
				}
				percentile(t, kind, all)
			}
			table.add(row{name: "10,000 of one sender, " + latency.String(), commands: s.settled(), atOnce: s.factro.mostAtOnce(), truths: s.truthOf()})
		})
	}
}

func (s *site) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

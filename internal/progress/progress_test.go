package progress

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeterTellsOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	for want, m := range map[string]struct {
		noun              string
		total, done, left int64
		moved, now        time.Duration
	}{
		"x: 12 of 40 letters, 2.0/s, 14s left":              {"letter", 40, 12, -1, 6 * time.Second, 6 * time.Second},
		"x: 1 of 1 letter, 0.5/s, 0s left":                  {"letter", 1, 1, -1, 2 * time.Second, 2 * time.Second},
		"x: 0 of 40 letters, 3s so far":                     {"letter", 40, 0, -1, 0, 3 * time.Second},
		"x: 1200 letters, 400/s, 3s so far":                 {"letter", 0, 1200, -1, 3 * time.Second, 3 * time.Second},
		"x: 41 letters, 10/s, 4s so far":                    {"letter", 40, 41, -1, 4 * time.Second, 4 * time.Second},  // more than there were to be
		"x: 12 of 40 letters, 0.4/s, 30s so far":            {"letter", 40, 12, -1, 6 * time.Second, 30 * time.Second}, // nothing goes on
		"x: 1 of 4 letters, 2.0/min, 1m30s left":            {"letter", 4, 1, -1, 5 * time.Second, 30 * time.Second},   // it is that slow
		"x: 2.0 MiB of 8.0 MiB, 1.0 MiB/s, 6s left":         {Bytes, 8 << 20, 2 << 20, -1, 2 * time.Second, 2 * time.Second},
		"x: 512 B, 256 B/s, 2s so far":                      {Bytes, 0, 512, -1, 2 * time.Second, 2 * time.Second},
		"x: 5s so far":                                      {"", 0, 0, -1, 0, 5 * time.Second},
		"x: 10 of 60 letters, 5.0/s, 10s left":              {"letter", 40, 10, 50, 2 * time.Second, 2 * time.Second}, // twenty came on top
		"x: 10 of 7210 letters, 1.0/s, 2h left":             {"letter", 7210, 10, -1, 10 * time.Second, 10 * time.Second},
		"x: 10 of 3610 letters, 1.0/s, 1h left":             {"letter", 3610, 10, 3600, 10 * time.Second, 10 * time.Second},
		"x: 10 of 190 letters, 1.0/s, 3m left":              {"letter", 190, 10, 180, 10 * time.Second, 10 * time.Second},
		"x: 2 of 10000000000000 letters, 0.2/s, 10s so far": {"letter", 1e13, 2, -1, 10 * time.Second, 10 * time.Second}, // more than a lifetime
	} {
		meter := NewMeter("x", m.noun, m.total, start)
		meter.Add(m.done, at(m.moved))
		if m.left >= 0 {
			meter.Left(m.left, at(m.moved))
		}
		if got := meter.Text(at(m.now)); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestNothingIsSaidOfWhatIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		for _, start := range []func(io.Writer) *Task{OnTerminal, InLines} {
			task := start(&out)
			task.Begin("read", "event", 10)
			<-time.After(Quiet - time.Millisecond)
			task.Stop()
		}
		if out.Len() > 0 {
			t.Errorf("%q", out.String())
		}
	})
}

func TestLinesFromTimeToTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		task := InLines(&out)
		task.Begin("read", "event", 23)
		<-time.After(500 * time.Millisecond)
		for range 22 {
			<-time.After(time.Second)
			task.Add(1)
		}
		task.Begin("publish", "event", 3)
		<-time.After(10 * time.Second)
		task.Stop()
		const want = "read: 1 of 23 events, 0.5/s, 44s left\n" + "read: 11 of 23 events, 0.9/s, 13s left\n" +
			"read: 21 of 23 events, 1.0/s, 2s left\n" + "publish: 0 of 3 events, 10s so far\n"
		if out.String() != want {
			t.Errorf("%q\nwant %q", out.String(), want)
		}
	})
}

func TestLineOnTerminalIsDrawnAgainAndTakenAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		task := OnTerminal(&out)
		task.Begin("upload \x1b[2Jplan.pdf", Bytes, 100)
		if _, err := io.ReadAll(task.Reader(strings.NewReader(strings.Repeat("x", 50)))); err != nil {
			t.Error(err)
		}
		<-time.After(2300 * time.Millisecond)
		for _, text := range []string{"prin", "ted\n"} {
			if _, err := io.WriteString(task.Beside(&out), text); err != nil {
				t.Error(err)
			}
			if text == "prin" { // half a line is not drawn over
				<-time.After(time.Second)
			}
		}
		task.Stop()
		const want = "\r\x1b[?7lupload  [2Jplan.pdf: 50 B of 100 B, 25 B/s, 2s left\x1b[K\x1b[?7h" +
			"\r\x1b[?7lupload  [2Jplan.pdf: 50 B of 100 B, 22 B/s, 2s left\x1b[K\x1b[?7h" + "\r\x1b[Kprinted\n"
		if out.String() != want {
			t.Errorf("%q\nwant %q", out.String(), want)
		}
	})
}

func TestNobodyWatches(t *testing.T) {
	t.Parallel()
	var task *Task
	task.Begin("read", "event", 1)
	task.Add(1)
	task.Left(0)
	if got, err := io.ReadAll(task.Reader(strings.NewReader("x"))); string(got) != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if task.Beside(t.Output()) != t.Output() {
		t.Error("another writer")
	}
	task.Stop()
}

func TestProgressIsLoggedPeriodically(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var l Log
	if _, logged := l.End(start); logged {
		t.Error("nothing was logged")
	}
	left, logged := int64(100), []string{}
	for second := range 51 {
		if attrs, due := l.Left(left, start.Add(time.Duration(second)*time.Second)); due {
			logged = append(logged, fmt.Sprint(second, attrs))
		}
		left -= 2
	}
	attrs, was := l.End(start.Add(50 * time.Second))
	logged = append(logged, fmt.Sprint(was, attrs))
	want := []string{"2 [done=4 total=100 per_second=2 took=2s left=48s]", "32 [done=64 total=100 per_second=2 took=32s left=18s]", "true [done=100 total=100 per_second=2 took=50s]"}
	if !slices.Equal(logged, want) {
		t.Errorf("%q\nwant %q", logged, want)
	}
	if _, due := l.Left(5, start.Add(time.Hour)); due {
		t.Error("it begins again")
	}
}

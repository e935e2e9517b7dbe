// Package progress tells how far something is that takes long: n of m, the rate, and the time left where it is known.
//
// In: what is counted, and when. Out: a line that is drawn again on a terminal, lines at intervals elsewhere, or numbers for a
// log. It says nothing within the first two seconds, and no time left while the total is unknown.
package progress

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Quiet is how long nothing is said: what is over by then needs no progress.
const Quiet = 2 * time.Second

// Every is the interval of lines and of log records; a terminal is drawn each redraw.
const Every = 10 * time.Second

const redraw = 200 * time.Millisecond

// Task is something that may take long, part by part. A nil Task counts nothing, for work that nobody watches.
type Task struct {
	mu    sync.Mutex
	out   io.Writer
	draw  bool
	drawn bool // a line stands at the cursor
	held  bool // the beginning of somebody else's line stands there
	meter Meter
	stop  chan struct{}
	ended chan struct{}
}

// OnTerminal draws a line on a terminal, and takes it away at the end.
func OnTerminal(out io.Writer) *Task { return start(out, true, redraw) }

// InLines writes a line from time to time.
func InLines(out io.Writer) *Task { return start(out, false, Every) }

func start(out io.Writer, draw bool, every time.Duration) *Task {
	t := &Task{out: out, draw: draw, stop: make(chan struct{}), ended: make(chan struct{})}
	go t.run(every)
	return t
}

func (t *Task) run(every time.Duration) {
	defer close(t.ended)
	timer := time.NewTimer(Quiet)
	defer timer.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-timer.C:
			t.show()
			timer.Reset(every)
		}
	}
}

// Begin begins a part of it. what says what is going on, noun what is counted, "" if nothing is, and total how many, 0 if
// unknown.
func (t *Task) Begin(what, noun string, total int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meter = NewMeter(printable(what), noun, total, time.Now())
}

// Add says that so many more are done.
func (t *Task) Add(n int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meter.Add(n, time.Now())
}

// Left says how many are left, where that is what is known.
func (t *Task) Left(n int64) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.meter.Left(n, time.Now())
}

// Stop ends it. Nothing is written afterwards, and no line is left on a terminal.
func (t *Task) Stop() {
	if t == nil {
		return
	}
	close(t.stop)
	<-t.ended
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

// show writes the state.
func (t *Task) show() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.meter.what == "" || t.held {
		return
	}
	text := t.meter.Text(time.Now())
	if !t.draw {
		_, _ = fmt.Fprintln(t.out, text) // who does not listen misses nothing else
		return
	}
	// Without a line break where the terminal ends: half a line could not be drawn over.
	_, _ = fmt.Fprint(t.out, "\r\x1b[?7l", text, "\x1b[K\x1b[?7h")
	t.drawn = true
}

func (t *Task) clear() {
	if t.drawn {
		_, _ = fmt.Fprint(t.out, "\r\x1b[K")
		t.drawn = false
	}
}

// Beside returns a writer for what is printed meanwhile. On a terminal it first takes the line away that stands there.
func (t *Task) Beside(out io.Writer) io.Writer {
	if t == nil || !t.draw {
		return out
	}
	return beside{t, out}
}

type beside struct {
	t   *Task
	out io.Writer
}

func (b beside) Write(text []byte) (int, error) {
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	b.t.clear()
	if len(text) > 0 {
		b.t.held = text[len(text)-1] != '\n'
	}
	return b.out.Write(text)
}

// Reader counts the bytes that are read through it.
func (t *Task) Reader(r io.Reader) io.Reader {
	if t == nil {
		return r
	}
	return counting{r, t}
}

type counting struct {
	io.Reader
	t *Task
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.t.Add(int64(n))
	return n, err
}

// printable keeps a terminal in order whatever the name of a file is.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

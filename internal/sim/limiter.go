package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// limiter counts requests in fixed windows, which begin with the first request of a partition. The form of factro's headers suggests
// that the window is fixed.
type limiter struct {
	quota  int
	window time.Duration
	seed   uint64

	mu         sync.Mutex
	variants   Variants
	partitions map[string]*window
	past       []Window // the windows that are over, the oldest first
	random     *rand.Rand
}

type window struct {
	count Window
	ends  time.Time
	next  time.Time // when the other program makes its next requests
}

// Window is what was counted in one window of a partition.
type Window struct {
	Partition string    `json:"partition"` // as in the header
	Began     time.Time `json:"began"`
	Requests  int       `json:"requests"` // of clients, those that were refused included
	Others    int       `json:"others"`   // of the other program that the variant strangerShare plays
	Refused   int       `json:"refused"`  // answered with 429
	Free      int       `json:"free"`     // failed requests that do not count, by the variant freeFailures
}

func (w Window) used() int { return w.Requests + w.Others - w.Free }

// maxPartitions limits the memory that clients with invented keys can use, maxWindows that of the log of windows.
const (
	maxPartitions = 1000
	maxWindows    = 1000
)

func newLimiter(quota int, length time.Duration, seed uint64) *limiter {
	l := &limiter{quota: quota, window: length, seed: seed}
	l.reset(Variants{})
	return l
}

// budget is what is left after one request.
type budget struct {
	limiter   *limiter
	partition string
	quota     int
	length    time.Duration
	remaining int
	reset     time.Duration
	exceeded  bool
	variants  Variants
	at        time.Time
}

// set changes how requests are counted, from the next one on.
func (l *limiter) set(v Variants) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.variants = v
}

// limits are the quota and the window as they are now.
func (l *limiter) limits() (int, time.Duration) {
	quota, length := l.quota, l.window
	if l.variants.Quota > 0 {
		quota = l.variants.Quota
	}
	if l.variants.Window > 0 {
		length = l.variants.Window
	}
	return quota, length
}

func (l *limiter) take(partition string, now time.Time) budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	quota, length := l.limits()
	w := l.partitions[partition]
	if w == nil {
		if len(l.partitions) >= maxPartitions {
			l.evictExpired(now)
		}
		w = &window{count: Window{Partition: factro.PartitionOf(partition)[0]}}
		l.partitions[partition] = w
	}
	l.stranger(w, now)
	l.begin(w, now)
	w.count.Requests++
	b := budget{
		limiter: l, partition: partition, quota: quota, length: length, remaining: max(0, quota-w.count.used()),
		reset: w.ends.Sub(now), exceeded: w.count.used() > quota, variants: l.variants, at: now,
	}
	if b.exceeded {
		w.count.Refused++
	}
	return b
}

// begin begins a window, if the one before is over.
func (l *limiter) begin(w *window, now time.Time) {
	if now.Before(w.ends) {
		return
	}
	if !w.ends.IsZero() {
		if len(l.past) >= maxWindows {
			l.past = l.past[1:]
		}
		l.past = append(l.past, w.count)
	}
	_, length := l.limits()
	w.count = Window{Partition: w.count.Partition, Began: now}
	w.ends = now.Add(length)
}

// stranger makes the requests that another program made since the last look, at random times.
func (l *limiter) stranger(w *window, now time.Time) {
	share, burst := l.variants.StrangerShare, max(1, l.variants.StrangerBurst)
	if share <= 0 {
		w.next = time.Time{}
		return
	}
	quota, length := l.limits()
	pause := func(n int) time.Duration {
		return time.Duration(l.random.ExpFloat64() * float64(n) * length.Seconds() / (float64(quota) * share) * float64(time.Second))
	}
	if w.next.IsZero() || now.Sub(w.next) > 2*length {
		w.next = now.Add(pause(burst))
	}
	for !w.next.After(now) {
		l.begin(w, w.next)
		n := 1 + l.random.IntN(2*burst-1)
		w.count.Others += min(n, max(0, quota-w.count.used())) // it is refused like everybody
		w.next = w.next.Add(pause(n))
	}
}

// forgive takes back a request that failed, if failures do not count.
func (b budget) forgive() {
	if !b.variants.FreeFailures {
		return
	}
	b.limiter.mu.Lock()
	defer b.limiter.mu.Unlock()
	if w := b.limiter.partitions[b.partition]; w != nil && w.ends.Equal(b.at.Add(b.reset)) {
		w.count.Free++
	}
}

// windows are the windows of all partitions, those that are over first.
func (l *limiter) windows() []Window {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := append([]Window{}, l.past...)
	for _, w := range l.partitions {
		out = append(out, w.count)
	}
	return out
}

// evictExpired removes windows that have ended, or all windows if none has.
func (l *limiter) evictExpired(now time.Time) {
	for key, p := range l.partitions {
		if !now.Before(p.ends) {
			delete(l.partitions, key)
		}
	}
	if len(l.partitions) >= maxPartitions {
		clear(l.partitions)
	}
}

func (l *limiter) reset(v Variants) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.variants, l.partitions, l.past = v, map[string]*window{}, nil
	l.random = rand.New(rand.NewPCG(l.seed, math.MaxUint64))
}

// setHeaders sets the two structured fields with the budget that factro sends with every answer.
func (b budget) setHeaders(h http.Header) {
	if b.variants.NoRateLimit {
		return
	}
	name := strconv.Quote(policyName(b.quota, b.length))
	seconds := b.seconds()
	if b.variants.ResetDown {
		seconds = int(b.reset / time.Second)
	}
	h.Set("RateLimit", fmt.Sprintf("%s; r=%d; t=%d", name, b.remaining, seconds))
	h.Set("RateLimit-Policy", fmt.Sprintf("%s; q=%d; w=%d; pk=:%s:", name, b.quota, int(b.length/time.Second), factro.PartitionOf(b.partition)[0]))
}

// seconds rounds up, so that the window has ended after a client has waited.
func (b budget) seconds() int { return int((b.reset + time.Second - 1) / time.Second) }

// retryAfter is the header of a refusal, in the form that the variants say.
func (b budget) retryAfter() string {
	if b.variants.RetryAfterDate {
		return b.at.Add(time.Duration(b.seconds()) * time.Second).UTC().Format(http.TimeFormat)
	}
	return strconv.Itoa(b.seconds())
}

func policyName(quota int, length time.Duration) string {
	if length%time.Minute == 0 {
		return fmt.Sprintf("%d-in-%dmin", quota, length/time.Minute)
	}
	return fmt.Sprintf("%d-in-%dsec", quota, length/time.Second)
}

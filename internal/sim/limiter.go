package sim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter counts requests in fixed windows, which begin with the first request of a partition. The form of factro's headers suggests
// that the window is fixed.
type limiter struct {
	quota  int
	window time.Duration

	mu         sync.Mutex
	partitions map[string]window
}

type window struct {
	ends time.Time
	used int
}

// maxPartitions limits the memory that clients with invented keys can use.
const maxPartitions = 1000

func newLimiter(quota int, length time.Duration) *limiter {
	return &limiter{quota: quota, window: length, partitions: map[string]window{}}
}

// budget is what is left after one request.
type budget struct {
	limiter   *limiter
	partition string
	remaining int
	reset     time.Duration
	exceeded  bool
}

func (l *limiter) take(partition string, now time.Time) budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, known := l.partitions[partition]
	if !known || !now.Before(p.ends) {
		if len(l.partitions) >= maxPartitions {
			l.evictExpired(now)
		}
		p = window{ends: now.Add(l.window)}
	}
	p.used++
	l.partitions[partition] = p
	return budget{
		limiter: l, partition: partition, remaining: max(0, l.quota-p.used), reset: p.ends.Sub(now), exceeded: p.used > l.quota,
	}
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

func (l *limiter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.partitions)
}

// setHeaders sets the two structured fields with the budget that factro sends with every answer.
func (b budget) setHeaders(h http.Header) {
	name := strconv.Quote(b.limiter.policyName())
	h.Set("RateLimit", fmt.Sprintf("%s; r=%d; t=%d", name, b.remaining, b.seconds()))
	h.Set("RateLimit-Policy", fmt.Sprintf("%s; q=%d; w=%d; pk=:%s:", name, b.limiter.quota, int(b.limiter.window/time.Second), b.partitionKey()))
}

// seconds rounds up, so that the window has ended after a client has waited.
func (b budget) seconds() int { return int((b.reset + time.Second - 1) / time.Second) }

// partitionKey hashes the key like factro: twelve hexadecimal digits, in base64.
func (b budget) partitionKey() string {
	sum := sha256.Sum256([]byte(b.partition))
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:6])))
}

func (l *limiter) policyName() string {
	if l.window%time.Minute == 0 {
		return fmt.Sprintf("%d-in-%dmin", l.quota, l.window/time.Minute)
	}
	return fmt.Sprintf("%d-in-%dsec", l.quota, l.window/time.Second)
}

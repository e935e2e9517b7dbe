package chaos

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// hook names one webhook: the n-th of an entity.
type hook struct {
	entity string
	n      int
}

// sender delivers webhooks as a factro would that tries again: for each entity one after the other, each until it is
// answered with 202.
type sender struct {
	w        *world
	client   *http.Client
	entities []string
	withIDs  bool
	padding  string // makes bodies larger

	mu       sync.Mutex
	sent     int            // webhooks, not attempts
	acked    map[hook]bool  // answered with 202
	missed   map[hook]int   // attempts that were not, each of which may have been stored all the same
	statuses map[int]int    // of all attempts; 0 is no answer
	hints    int            // 503s with a Retry-After
	acks     []time.Time    // of the 202s
	begun    sync.WaitGroup // webhooks that are under way
}

func newSender(w *world, entities int) *sender {
	s := &sender{
		w: w, withIDs: w.rng.IntN(2) == 0,
		client: &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: entities}},
		acked:  map[hook]bool{}, missed: map[hook]int{}, statuses: map[int]int{},
	}
	for range entities {
		s.entities = append(s.entities, uuid.NewString())
	}
	w.t.Cleanup(s.client.CloseIdleConnections)
	return s
}

// start sends so many a second, until stop is called or so many are sent. stop begins no new ones; done waits until all
// that were begun are answered.
func (s *sender) start(perSecond, most int) (stop func()) {
	ctx, cancel := context.WithCancel(s.w.ctx)
	each := time.Second * time.Duration(len(s.entities)) / time.Duration(perSecond)
	for i, entity := range s.entities {
		share := most / len(s.entities)
		if i < most%len(s.entities) {
			share++
		}
		s.begun.Go(func() {
			tick := time.NewTicker(each)
			defer tick.Stop()
			for n := 1; most == 0 || n <= share; n++ {
				if ctx.Err() != nil {
					return
				}
				s.deliver(hook{entity, n})
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	return cancel
}

func (s *sender) done() { s.begun.Wait() }

func (s *sender) deliver(h hook) {
	id := ""
	if s.withIDs {
		id = fmt.Sprintf(`"id":%q,`, uuid.NewString())
	}
	body := fmt.Sprintf(`{%s"action":"TaskStateChanged","context":{"entityId":%q,"counter":%d,"title":"Prüfung%s"}}`, id, h.entity, h.n, s.padding)
	s.mu.Lock()
	s.sent++
	s.mu.Unlock()
	for try := 0; s.w.ctx.Err() == nil; try++ {
		status, hint := s.post(s.w.inlets[(h.n+try)%len(s.w.inlets)], body)
		s.mu.Lock()
		s.statuses[status]++
		if status == http.StatusServiceUnavailable && hint {
			s.hints++
		}
		if status == http.StatusAccepted {
			s.acked[h] = true
			s.acks = append(s.acks, time.Now())
			s.mu.Unlock()
			return
		}
		s.missed[h]++
		s.mu.Unlock()
		s.w.pause(20*time.Millisecond + time.Duration(min(try, 20))*10*time.Millisecond)
	}
}

func (s *sender) post(inlet *proxy, body string) (status int, hint bool) {
	req, err := http.NewRequestWithContext(s.w.ctx, http.MethodPost, "http://"+inlet.address()+"/webhooks/"+cloud, strings.NewReader(body))
	if err != nil {
		return 0, false
	}
	req.Header.Set("X-Bridge-Key", webhookSecret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return resp.StatusCode, resp.Header.Get("Retry-After") != ""
}

// count is how many webhooks were answered with 202.
func (s *sender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

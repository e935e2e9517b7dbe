package health

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

var errNotBound = errors.New("the streams have not been looked up yet")

// State is what the checks of the streams found, and what was reported of it.
type State struct {
	mu      sync.Mutex
	window  time.Duration            // how long the stream of a cloud's events is to recognise an id
	limits  topology.Limits          // the sizes that the broker takes, as they were seen last
	bound   map[string]error         // of each cloud: nil once its streams are known to be there
	started map[string]chan struct{} // of each cloud: closed once its streams were there for the first time
	better  chan struct{}            // closed when a check finds well what was not; then a new one
	windows map[string]time.Duration // how long the stream of a cloud's events recognises an id, as far as it was seen
	unkept  map[string]bool          // streams that acknowledge what they do not keep
	moving  map[string]bool          // streams that are being filled from one of an older version
	warned  map[string]string        // what was logged, by what it is about
}

// NewState knows nothing yet of the streams of clouds, whose windows for duplicates are to be this long.
func NewState(clouds []string, window time.Duration) *State {
	s := &State{
		window: window, limits: topology.Limits{Messages: map[string]int64{}},
		bound: map[string]error{}, started: map[string]chan struct{}{}, better: make(chan struct{}), windows: map[string]time.Duration{},
		unkept: map[string]bool{}, moving: map[string]bool{}, warned: map[string]string{},
	}
	for _, cloud := range clouds {
		s.bound[cloud], s.started[cloud] = errNotBound, make(chan struct{})
	}
	return s
}

// Renewed forgets what was found: the new connection may be to another server, with an empty store.
func (s *State) Renewed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cloud := range s.bound {
		s.bound[cloud] = errNotBound
	}
	clear(s.moving)
}

// Begin lets the work of a cloud begin.
func (s *State) Begin(cloud string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if begun := s.started[cloud]; begun != nil {
		select {
		case <-begun:
		default:
			close(begun)
		}
	}
}

// HasBegun says whether the streams of a cloud were there for the first time.
func (s *State) HasBegun(cloud string) bool {
	select {
	case <-s.StreamsReady(cloud):
		return true
	default:
		return false
	}
}

// Begun waits until the streams of a cloud were there for the first time, or until ctx ends.
func (s *State) Begun(ctx context.Context, cloud string) {
	select {
	case <-s.StreamsReady(cloud):
	case <-ctx.Done():
	}
}

// StreamsReady is closed once the streams of a cloud were there for the first time. Before that there is nothing to bind to.
func (s *State) StreamsReady(cloud string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started[cloud]
}

// Found keeps what a check found of a cloud's streams, and says whether it is a failure and news.
func (s *State) Found(cloud string, err error) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.bound[cloud]
	if err == nil && before != nil {
		close(s.better)
		s.better = make(chan struct{})
	}
	s.bound[cloud] = err
	return err != nil && (before == nil || before.Error() != err.Error())
}

func (s *State) found(cloud string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound[cloud]
}

// Recovered is closed when a check finds well what was not.
func (s *State) Recovered() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.better
}

// Window is how long the stream of a cloud's events recognises a message id.
func (s *State) Window(cloud string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.windows[cloud]; ok {
		return min(s.window, have) // somebody may have chosen less
	}
	return s.window
}

// SawWindow keeps how long the stream of a cloud's events recognises a message id.
func (s *State) SawWindow(cloud string, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.windows[cloud] = window
}

// SawKept keeps whether a stream keeps what it acknowledges, for those who publish to it.
func (s *State) SawKept(stream string, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept {
		delete(s.unkept, stream)
	} else {
		s.unkept[stream] = true
	}
}

// Keeps says whether a stream keeps what it acknowledges, as far as that was seen.
func (s *State) Keeps(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.unkept[stream]
}

// SetMoving notes whether a stream is being filled from one of an older version.
func (s *State) SetMoving(stream string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if is {
		s.moving[stream] = true
	} else {
		delete(s.moving, stream)
	}
}

// IsMoving says whether a stream is being filled from one of an older version.
func (s *State) IsMoving(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moving[stream]
}

// News reports whether a text differs from the last one under this name, so that the log has it once however often it is found.
func (s *State) News(name, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	news := text != "" && s.warned[name] != text
	s.warned[name] = text
	return news
}

// WasNews forgets what was logged, and reports whether anything was.
func (s *State) WasNews(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.warned[name] != ""
	delete(s.warned, name)
	return was
}

// Limits are the sizes that the broker takes, as they were seen last on this connection.
func (s *State) Limits() topology.Limits {
	s.mu.Lock()
	defer s.mu.Unlock()
	return topology.Limits{Payload: s.limits.Payload, Messages: maps.Clone(s.limits.Messages)}
}

// SawPayload keeps the largest message that the server takes.
func (s *State) SawPayload(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.Payload = n
}

// SawMessages keeps the largest message that the stream of a cloud's events takes.
func (s *State) SawMessages(cloud string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.Messages[cloud] = max(n, 0)
}

package apitest

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// AnswerStore is a store in memory. fail, if set, is why it takes nothing; wait is how long it takes to begin.
type AnswerStore struct {
	Most int
	Fail error
	Wait time.Duration
	mu   sync.Mutex
	Kept map[string]string
}

// MaxAnswer is how many bytes a message of this test holds.
func (s *AnswerStore) MaxAnswer() int { return s.Most }

// Keep stores an answer in memory.
func (s *AnswerStore) Keep(ctx context.Context, _, name string, content io.Reader) (events.ObjectRef, error) {
	if err := pause(ctx, s.Wait); err != nil {
		return events.ObjectRef{}, err
	}
	text, err := io.ReadAll(content)
	if err == nil {
		err = s.Fail
	}
	if err != nil {
		return events.ObjectRef{}, fmt.Errorf("store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Kept[name] = string(text)
	return events.ObjectRef{Bucket: "FACTRO_ANSWERS_ACME", Name: name, Size: uint64(len(text))}, nil
}

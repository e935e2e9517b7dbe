package bus

import (
	"time"

	"github.com/factro-bridge/factro-bridge/internal/natserr"
)

// Silent notes how a request to a store ended that began then. It says whether the store gives no answer, and has given none
// for as long as destinations have to refuse until that is ErrRefusing.
func (b *Conn) Silent(store string, began time.Time, err error) bool {
	silent, quiet := b.health.silence(store, began, err)
	return silent && quiet >= b.refusingAfter
}

// silence notes how a request to a store ended that began then. It says whether the store was silent, and since how long
// it has been.
func (h *health) silence(store string, began time.Time, err error) (silent bool, since time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil || natserr.Answered(err) {
		delete(h.silent, store)
		return false, 0
	}
	if h.silent[store].IsZero() {
		h.silent[store] = began
	}
	return true, time.Since(h.silent[store])
}

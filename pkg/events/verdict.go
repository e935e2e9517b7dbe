package events

import "time"

// retry is the verdict that an event is to come again after a while.
type retry struct {
	err   error
	after time.Duration
}

func (r *retry) Error() string { return r.err.Error() }
func (r *retry) Unwrap() error { return r.err }

// Retry returns the verdict that the event is to come again after a while; at once if that is 0. In a subscription that
// keeps the order, the events behind it wait. Of nil it returns nil, which acknowledges the event.
func Retry(err error, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &retry{err, after}
}

// reject is the verdict that an event is never to come again.
type reject struct{ err error }

func (r *reject) Error() string { return r.err.Error() }
func (r *reject) Unwrap() error { return r.err }

// Reject returns the verdict that the event is never to come again. The stream keeps it; only this consumer is through
// with it. Of nil it returns nil, which acknowledges the event.
func Reject(err error) error {
	if err == nil {
		return nil
	}
	return &reject{err}
}

package queries

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// drainWait bounds how long the end of a subscription may take. Without a connection the client does not report it.
const drainWait = time.Second

// drain ends subscriptions, and waits for the requests in flight, including those that have arrived by then.
func drain(subs []*nats.Subscription, inFlight *sync.WaitGroup) error {
	closed := make(chan struct{}, len(subs))
	var open int
	var errs []error
	for _, sub := range subs {
		sub.SetClosedHandler(func(string) { closed <- struct{}{} })
		switch err := sub.Drain(); {
		case err == nil:
			open++
		case !errors.Is(err, nats.ErrConnectionClosed):
			errs = append(errs, fmt.Errorf("stop %s: %w", sub.Subject, err))
		}
	}
	late := time.NewTimer(drainWait)
	defer late.Stop()
	for range open {
		select {
		case <-closed:
		case <-late.C:
			for _, sub := range subs {
				_ = sub.Unsubscribe() // so that nothing new begins; an error says that it is closed already
			}
			inFlight.Wait()
			return errors.Join(errs...)
		}
	}
	inFlight.Wait()
	return errors.Join(errs...)
}

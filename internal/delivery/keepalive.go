package delivery

import "time"

// KeepAlive calls renew at an interval, so that the broker does not deliver the message to somebody else while it is worked
// on. The returned function stops it and waits until the last call is over. See [InProgress] for what renew sends.
func KeepAlive(every time.Duration, renew func()) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(max(every, 10*time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				renew()
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// InProgress tells the broker that the message is still worked on. The broker does not answer it.
const InProgress Verdict = "+WPI"

package delivery

import "time"

// KeepAlive calls renew at an interval, so that the broker does not redeliver the message while it is being processed. The
// returned function stops it and waits until the last call is over. See [InProgress] for what renew sends.
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

// InProgress means that the message is still being processed. The broker does not answer it.
const InProgress Verdict = "+WPI"

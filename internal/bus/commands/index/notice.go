package index

import "time"

const (
	// reportAgain is by how much an estimate has to change to be reported again, beside a fifth of the wait.
	reportAgain = 5 * time.Second
	// firstSettled is how long an estimate has to differ: what other programs spend makes it go up and down. With each report it is
	// twice as long, up to lastSettled: while factro fails, each attempt to reach it makes another estimate.
	firstSettled, lastSettled = 10 * time.Second, 10 * time.Minute
)

// Notice is what the sender of a waiting command heard last. The zero value says that it heard nothing.
type Notice struct {
	RetryAt time.Time
	differs time.Time     // since when the estimate is another one; zero if it is not
	settled time.Duration // how long it has to be another one
}

// Due says whether a new estimate is to be reported: the first one, and another one when it has differed for a while. It is asked
// again and again.
func (n *Notice) Due(now, until time.Time) bool {
	switch {
	case n.settled == 0:
		return true
	case !differs(now, n.RetryAt, until):
		n.differs = time.Time{}
	case n.differs.IsZero():
		n.differs = now
	default:
		return now.Sub(n.differs) >= n.settled
	}
	return false
}

// Reported notes that the sender hears of an estimate.
func (n *Notice) Reported(until time.Time) {
	*n = Notice{RetryAt: until, settled: min(max(2*n.settled, firstSettled), lastSettled)}
}

// differs says whether an estimate is far enough from the one that a sender heard last. A command whose turn comes within seconds tells
// more by its result.
func differs(now, heard, until time.Time) bool {
	wait := until.Sub(now)
	return wait > reportAgain && until.Sub(heard).Abs() > max(reportAgain, wait/5)
}

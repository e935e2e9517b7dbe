package ledger

import "time"

// MayHaveCalled says whether a call may have been made for a command that is not finished.
func (r Record) MayHaveCalled() bool { return r.Result == nil && (!r.Open || r.Attempts > 0) }

// NeverBegun says whether the record was written when its command was delayed, and not since.
func (r Record) NeverBegun() bool { return !r.NotBefore.IsZero() && r.CalledAt.IsZero() }

// HasFired says whether the command was delayed, is not finished, and its time has come.
func (r Record) HasFired(now time.Time) bool {
	return r.Result == nil && !r.NotBefore.IsZero() && !now.Before(r.NotBefore)
}

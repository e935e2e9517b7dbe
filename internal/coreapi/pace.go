package coreapi

import (
	"sync/atomic"
	"time"
)

// pace is how long factro takes to answer: the average of the latest answers.
type pace struct{ answer atomic.Int64 }

// weight is one over the part of a new answer in the average.
const weight = 8

func (p *pace) learn(took time.Duration) {
	for {
		was := p.answer.Load()
		is := was + (int64(took)-was)/weight
		if was == 0 {
			is = int64(took)
		}
		if p.answer.CompareAndSwap(was, is) {
			return
		}
	}
}

// Pace is how many calls a second are allowed, and how long factro took for the latest answers; 0 if there was none.
func (a *API) Pace() (perSecond float64, answer time.Duration) {
	return float64(a.budget.State(a.Key()).Allowed) / 60, time.Duration(a.pace.answer.Load())
}

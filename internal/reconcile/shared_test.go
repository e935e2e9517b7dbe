package reconcile

import (
	"testing"
	"time"
)

// TestRecordsThatShareAnID: if what factro calls the id of a record is the id of its webhook, each record is an event all the
// same, and none is published twice.
func TestRecordsThatShareAnID(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme", v: variant{wide: "own"}}
	add := func(action, entity string, ago time.Duration, lost bool) {
		h := happening{id: "w-1", action: action, entity: entity, at: time.Now().Add(-ago).Truncate(time.Millisecond), lost: lost}
		c.log = append(c.log, h)
		if !lost {
			c.deliver(t, b, h, h.at)
		}
	}
	add("TaskCreated", "t-1", 30*time.Minute, false)
	add("TaskCreated", "t-2", 29*time.Minute, true)
	add("TaskStateChanged", "t-1", 28*time.Minute, false)
	add("TaskStateChanged", "t-1", 10*time.Minute, true)
	add("TaskStateChanged", "t-2", 9*time.Minute, false)
	r := c.reconciler(t, b)
	if report := once(t, r, Request{}); report.Missing != 2 || report.Published != 2 {
		t.Errorf("%d missing, %d published, want 2", report.Missing, report.Published)
	}
	c.wantLog(t, b, true)
	if report := once(t, r, Request{}); report.Missing != 0 {
		t.Errorf("the second run misses %d", report.Missing)
	}
	c.wantLog(t, b, true)
}

// TestRecordWithTheIDOfAnotherEvent: a single record whose id is that of an event about something else is missing.
func TestRecordWithTheIDOfAnotherEvent(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	c := &cloud{name: "acme", v: variant{wide: "own"}}
	old := happening{id: "w-1", action: "TaskCreated", entity: "t-1", at: time.Now().Add(-20 * time.Minute).Truncate(time.Millisecond), late: true}
	c.deliver(t, b, old, old.at) // which is no record
	c.log = []happening{old, {id: "w-1", action: "TaskStateChanged", entity: "t-2", at: old.at.Add(time.Minute), lost: true}}
	if report := once(t, c.reconciler(t, b), Request{}); report.Missing != 1 || report.Published != 1 {
		t.Errorf("%d missing, %d published, want 1", report.Missing, report.Published)
	}
	c.wantLog(t, b, true)
}

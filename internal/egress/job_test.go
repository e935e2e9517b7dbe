package egress

import (
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/bus/ledger"
)

// TestOwnership: a record is ours once it was taken, and a command may only expire as long as no call can have been made for it.
//
//nolint:paralleltest // it ends before the tests that would hang if a command never took its record
func TestOwnership(t *testing.T) {
	for _, test := range []struct {
		hold             ownership
		attempts         int
		begun, mayExpire bool
		taken, called    ownership // what the hold is once the record was taken, if no call was made by then and if one was
	}{
		{unchecked, 0, false, true, fresh, inherited},
		{unchecked, 1, false, false, fresh, inherited},
		{foreign, 0, false, false, inherited, inherited},
		{foreign, 2, false, false, inherited, inherited},
		{fresh, 0, true, true, fresh, inherited},
		{fresh, 1, true, false, fresh, inherited},
		{inherited, 0, true, false, fresh, inherited},
		{inherited, 2, true, false, fresh, inherited},
	} {
		j := &job{ownership: test.hold, attempts: test.attempts}
		if j.owned() != test.begun || j.mayExpire() != test.mayExpire {
			t.Errorf("hold %d after %d calls: begun %t, may expire %t", test.hold, test.attempts, j.owned(), j.mayExpire())
		}
		for called, want := range map[bool]ownership{false: test.taken, true: test.called} {
			j := &job{ownership: test.hold, attempts: test.attempts}
			j.own(ledger.Record{Fingerprint: "f", Attempts: 3}, called)
			if j.ownership != want || j.attempts != 3 || j.record.Fingerprint != "f" || !j.owned() {
				t.Errorf("hold %d, called %t: taken it is %d after %d calls of %+v", test.hold, called, j.ownership, j.attempts, j.record)
			}
		}
	}
	j := &job{}
	if !j.interrupted() {
		t.Error("before a call of this delivery the last one was not of an earlier one")
	}
	if j.calls++; j.interrupted() {
		t.Error("after a call of this delivery the last one was of an earlier one")
	}
}

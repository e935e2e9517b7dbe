package topology

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Drift names what of a stream's configuration breaks the contract, or is "".
func Drift(want, have jetstream.StreamConfig) string {
	d := drift{
		{"subjects", slices.Equal(want.Subjects, have.Subjects), want.Subjects, have.Subjects},
		{"retention", want.Retention == have.Retention, want.Retention, have.Retention},
		{"discard", want.Discard == have.Discard, want.Discard, have.Discard},
		{"storage", want.Storage == have.Storage, want.Storage, have.Storage},
		{"replicas", want.Replicas == have.Replicas, want.Replicas, have.Replicas},
		{"duplicate window", have.Duplicates >= want.Duplicates, want.Duplicates, have.Duplicates},
		{"message TTL", have.AllowMsgTTL || !want.AllowMsgTTL, want.AllowMsgTTL, have.AllowMsgTTL},
		{"message schedules", have.AllowMsgSchedules || !want.AllowMsgSchedules, want.AllowMsgSchedules, have.AllowMsgSchedules},
		{"subject transform", have.SubjectTransform == nil, "none", have.SubjectTransform != nil},
		{"no_ack", !have.NoAck, false, have.NoAck},
	}.String()
	return strings.Join(slices.DeleteFunc([]string{d, LimitDrift(have)}, func(s string) bool { return s == "" }), "; ")
}

// LimitDrift says that a stream or bucket may fill the whole store, or is "".
func LimitDrift(have jetstream.StreamConfig) string {
	return drift{{"max_bytes", have.MaxBytes > 0, "a limit", "unlimited"}}.String()
}

// ConsumerDrift names what of a consumer's configuration breaks the contract, or is "".
func ConsumerDrift(want, have jetstream.ConsumerConfig) string {
	return drift{
		{"filter", slices.Equal(want.FilterSubjects, have.FilterSubjects), want.FilterSubjects, have.FilterSubjects},
		{"ack wait", want.AckWait == have.AckWait, want.AckWait, have.AckWait},
		{"max ack pending", want.MaxAckPending == have.MaxAckPending, want.MaxAckPending, have.MaxAckPending},
		{"max deliver", want.MaxDeliver == have.MaxDeliver, want.MaxDeliver, have.MaxDeliver},
	}.String()
}

// drift is a list of comparisons between what we would have made and what is there.
type drift []struct {
	what       string
	same       bool
	want, have any
}

func (d drift) String() string {
	var parts []string
	for _, c := range d {
		if !c.same {
			parts = append(parts, fmt.Sprintf("%s is %v, want %v", c.what, c.have, c.want))
		}
	}
	return strings.Join(parts, "; ")
}

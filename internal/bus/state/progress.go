package state

import "time"

// Progress is how far the mirror of a cloud is. It is the value of the lease.
type Progress struct {
	// Created is when the stream of events was made, Next the place of the first event that is not covered.
	Created time.Time `json:"created"`
	Next    uint64    `json:"next"`
	// Resources are those that are mirrored.
	Resources []string `json:"resources"`
	// Complete is when all objects were there for the first time, zero before. Verified is when they were last compared with factro.
	Complete time.Time `json:"complete,omitzero"`
	Verified time.Time `json:"verified,omitzero"`
	// FullLists are the resources whose lists show all fields of an object.
	FullLists []string `json:"fullLists,omitempty"`
	// Sweep is the reading of all lists that goes on, nil if none does. Last is the one that ended last.
	Sweep *Sweep `json:"sweep,omitempty"`
	Last  *Sweep `json:"last,omitempty"`
}

// Sweep is a reading of all lists.
type Sweep struct {
	// Kind is snapshot, verify or diff.
	Kind    string    `json:"kind"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	// Resource is what is read now, Parent the last one whose list was read, in the order of ids. All before are done.
	Resource string `json:"resource,omitempty"`
	Parent   string `json:"parent,omitempty"`
	// Lists and Objects count what was read, ListsLeft what is left as far as it is known.
	Lists     int `json:"lists"`
	ListsLeft int `json:"listsLeft"`
	Objects   int `json:"objects"`
	// Differences counts the objects that differed, Examples are the first of them.
	Differences int      `json:"differences"`
	Examples    []string `json:"examples,omitempty"`
}

package events

import "fmt"

// PendingError says that a command has no final result yet, and may have one later. Calling Do again with the same
// payload and [WithID] asks for it; the command is not carried out twice.
type PendingError struct {
	// ID is the command's.
	ID string
	// Unsure is true if the stream did not acknowledge the command, so that it may be there or not. Else it is.
	Unsure bool
	// Duplicate is true if the stream had a message with the command's message id already, as in Sent.
	Duplicate bool
	// Err is why Do stopped waiting, mostly the error of its context.
	Err error
}

func (e *PendingError) Error() string {
	where := "is in the stream and has no final result yet"
	switch {
	case e.Unsure:
		where = "may be in the stream or not"
	case e.Duplicate:
		where = "was not sent again, since the stream has its message id already, and has no final result yet"
	}
	return fmt.Sprintf("command %s %s; do it again with this id to get its result: %v", e.ID, where, e.Err)
}

func (e *PendingError) Unwrap() error { return e.Err }

// Package exit has the exit codes of the program, and errors that carry one.
//
// In: an error of a command. Out: the same error with its exit code. It never exits the process: main does.
package exit

import "fmt"

// Exit codes. They are part of the interface, for scripts.
const (
	OK         = 0
	Failure    = 1 // something went wrong
	WrongUsage = 2 // the command line or the configuration is wrong
	Rejected   = 3 // the command was rejected, the query refused, or there is no such object
	Dead       = 4 // the command was given up and is among the dead letters
	NoResult   = 5 // the result or the answer did not arrive in time; a command is still in the stream

	Different = 6 // descriptions differ, streams are not as required, or events are missing

	Interrupted = 130 // a second signal arrived during the graceful shutdown
)

// Error is an error with an exit code. Without Err, main prints nothing more.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}
func (e *Error) Unwrap() error { return e.Err }

// With gives an error an exit code.
func With(code int, err error) error { return &Error{Code: code, Err: err} }

// Silent is an exit code without an error to print. The command has already printed the reason.
func Silent(code int) error { return &Error{Code: code} }

// Usage is a mistake in the command line.
func Usage(format string, args ...any) error { return With(WrongUsage, fmt.Errorf(format, args...)) }

// Reword gives an error another text for people. It still wraps the same errors.
func Reword(text string, err error) error { return &rewordedError{text: text, err: err} }

type rewordedError struct {
	text string
	err  error
}

func (e *rewordedError) Error() string { return e.text }
func (e *rewordedError) Unwrap() error { return e.err }

package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// printError prints an error of the bridge's for machines: with --json standard output holds nothing but JSON, and says why
// there is no result. earlier is the result of the command that had the id before, if it is about that.
func printError(out io.Writer, id string, e *events.Error, earlier *events.Result) error {
	return json.NewEncoder(out).Encode(struct {
		ID      string         `json:"id,omitempty"` // of the command
		Status  int            `json:"status,omitempty"`
		Error   *events.Error  `json:"error"`
		Earlier *events.Result `json:"earlier,omitempty"`
	}{id, e.Status, e, earlier})
}

// jsonErrors has a command print each error as JSON, if it was asked for JSON and has printed nothing yet: also one of the command
// line or of the connection.
func jsonErrors(cmd *cobra.Command, asJSON *bool, id *string) {
	check, run := cmd.Args, cmd.RunE
	var out *watchedOutput
	tell := func(err error) error {
		if err == nil || !*asJSON || out != nil && out.written {
			return err
		}
		return errors.Join(err, printError(cmd.OutOrStdout(), *id, machineError(err), nil))
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error { return tell(check(cmd, args)) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out = &watchedOutput{Writer: cmd.OutOrStdout()}
		cmd.SetOut(out)
		return tell(run(cmd, args))
	}
}

// machineError is an error of this program in the form of the bridge's.
func machineError(err error) *events.Error {
	if e, ok := errors.AsType[*events.Error](err); ok {
		return e
	}
	code := "failure" // no code of the contract's: no bridge has said so
	if exit, ok := errors.AsType[*exitError](err); ok && exit.code == exitUsage {
		code = events.CodeInvalid
	}
	text := secret.Scrub(err.Error())
	detail, _ := json.Marshal([]events.FieldError{{Message: text}}) // two strings
	return &events.Error{Code: code, Message: text, Detail: detail}
}

// watchedOutput knows whether something was printed.
type watchedOutput struct {
	io.Writer
	written bool
}

func (w *watchedOutput) Write(p []byte) (int, error) {
	w.written = w.written || len(p) > 0
	return w.Writer.Write(p) //nolint:wrapcheck // it is the output's own
}

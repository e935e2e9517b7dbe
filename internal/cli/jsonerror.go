package cli

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// jsonErrors makes each command with the flag --json print its errors as JSON too, if the flag is set and the command has printed
// nothing yet. That includes errors in the command line and in the connection.
func jsonErrors(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		jsonErrors(sub)
	}
	if cmd.Flags().Lookup("json") == nil {
		return
	}
	check, run := cmd.Args, cmd.RunE
	var out *watchedOutput
	report := func(cmd *cobra.Command, err error) error {
		asked, _ := cmd.Flags().GetBool("json") // the command has the flag
		if err == nil || !asked || out != nil && out.written {
			return err
		}
		id := ""
		if f := cmd.Flags().Lookup("id"); f != nil {
			id = f.Value.String()
		}
		return errors.Join(err, output.PrintError(cmd.OutOrStdout(), id, asEventError(err), nil))
	}
	if check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return report(cmd, check(cmd, args)) }
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out = &watchedOutput{Writer: cmd.OutOrStdout()}
		cmd.SetOut(out)
		return report(cmd, run(cmd, args))
	}
}

// asEventError converts an error of this program to the form of the bridge's errors.
func asEventError(err error) *events.Error {
	if e, ok := errors.AsType[*events.Error](err); ok {
		return e
	}
	if wrong, ok := errors.AsType[*translate.InvalidError](err); ok {
		detail, _ := json.Marshal(wrong.Fields) // two strings each
		return &events.Error{Code: events.CodeInvalid, Message: wrong.Error(), Detail: detail}
	}
	code := "failure" // not a code of the contract, since it does not come from a bridge
	if wrong, ok := errors.AsType[*exit.Error](err); ok && wrong.Code == exit.WrongUsage {
		code = events.CodeInvalid
	}
	text := secret.Scrub(err.Error())
	detail, _ := json.Marshal([]events.FieldError{{Message: text}}) // two strings
	return &events.Error{Code: code, Message: text, Detail: detail}
}

// watchedOutput records whether something was printed.
type watchedOutput struct {
	io.Writer
	written bool
}

func (w *watchedOutput) Write(p []byte) (int, error) {
	w.written = w.written || len(p) > 0
	return w.Writer.Write(p) //nolint:wrapcheck // the caller expects the error of the output
}

package operation

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// checkData checks the data of a command or query against its schema, as the bridge does. It does not read files: they are uploaded
// only if the command is valid.
func checkData(op factro.Operation, args []string) error {
	data, err := commandData(op, args, func(path string) (any, error) {
		return map[string]any{"name": filepath.Base(path), "data": ""}, nil
	})
	if err != nil {
		return err
	}
	err = translate.Check(op, data)
	wrong, ok := errors.AsType[*translate.InvalidError](err)
	if !ok {
		return err
	}
	lines := []string{op.Name + " was not sent: the data is invalid"}
	for _, m := range wrong.Fields {
		lines = append(lines, "  "+strings.TrimPrefix(m.Pointer+": ", ": ")+m.Message)
	}
	lines = append(lines, fmt.Sprintf("\"bridge contract operations %s\" shows its fields", op.Name))
	return exit.With(exit.WrongUsage, exit.Reword(strings.Join(lines, "\n"), wrong))
}

// commandData makes the data of a command or a query from field=value arguments. file makes the value of file=@path.
func commandData(op factro.Operation, args []string, file upload) ([]byte, error) {
	data := map[string]any{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, exit.Usage("%q is not of the form field=value", arg)
		}
		if raw, isJSON := strings.CutSuffix(name, ":"); isJSON {
			if !json.Valid([]byte(value)) {
				return nil, exit.Usage("%s: %q is not JSON", raw, value)
			}
			data[raw] = json.RawMessage(value)
			continue
		}
		i := slices.IndexFunc(op.Fields, func(f factro.Field) bool { return f.Name == name })
		if i < 0 {
			return nil, exit.Usage("%s has no field %q; it has %s (for one that we do not know, write %s:=json)",
				op.Name, name, strings.Join(fieldNames(op), ", "), name)
		}
		v, err := fieldValue(op.Fields[i], value, file)
		if err != nil {
			return nil, err
		}
		data[name] = v
	}
	return json.Marshal(data)
}

// fieldValue is the JSON value of a field: text for a text field, otherwise JSON. Without file, @path is text.
func fieldValue(f factro.Field, value string, file upload) (any, error) {
	if path, ok := strings.CutPrefix(value, "@"); ok && f.Name == "file" && file != nil {
		return file(path)
	}
	if f.Type == "string" || f.Type == "" {
		return value, nil
	}
	if !json.Valid([]byte(value)) {
		return nil, exit.Usage("%s: %q is no %s", f.Name, value, f.Type)
	}
	return json.RawMessage(value), nil
}

// fieldNames are the names of the fields of an operation.
func fieldNames(op factro.Operation) []string {
	names := make([]string, len(op.Fields))
	for i, f := range op.Fields {
		names[i] = f.Name
	}
	return names
}

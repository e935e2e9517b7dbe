package keys

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	store "github.com/factro-bridge/factro-bridge/internal/bus/keys"
	"github.com/factro-bridge/factro-bridge/internal/cli/exit"
	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/internal/progress"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// record is one key of a file.
type record struct {
	line          int
	kind, key, id string
}

func newImport() *cobra.Command {
	var f keyFlags
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Set the external keys of a CSV file",
		Long: `Set the external keys of a CSV file; - stands for standard input. The columns are externalkey, id and, if --resource is not given,
resource. A header line with these names may be there, in any order. The separator is a comma.

The file is checked first: if a line is wrong, nothing is set and the exit code is 2. Keys that are set already are left alone, so that
an import can be repeated. A key that has another object, or an object that has another key, is a conflict: it is reported with its
line and left alone, the others are set, and the exit code is 1.`,
		Example: `  bridge keys import tasks.csv --resource task --dry-run
  bridge keys list --json | jq -r '[.externalkey, .id, .resource] | @csv' > keys.csv   # what import reads`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.resource != "" {
				if err := checkResource(f.resource); err != nil {
					return exit.Usage("--resource: %w", err)
				}
			}
			records, err := f.readFile(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			keys, end, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer end()
			watched := f.Start(cmd)
			defer watched.Stop()
			return f.importAll(cmd.Context(), watched.Beside(cmd.OutOrStdout()), keys, records, dryRun, watched)
		},
	}
	f.add(cmd, "resource of the objects, such as task; else the file has a column resource")
	f.ProgressFlag.Add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only check what would be set")
	return cmd
}

func (f *keyFlags) readFile(stdin io.Reader, name string) ([]record, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, exit.With(exit.WrongUsage, err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	records, wrong := f.read(in)
	if len(wrong) == 0 {
		return records, nil
	}
	const most = 20
	if more := len(wrong) - most; more > 0 {
		wrong = append(wrong[:most:most], fmt.Errorf("and %s", plural.Of(more, "more mistake")))
	}
	return nil, exit.Usage("%s: %w", name, errors.Join(wrong...))
}

// layout is where the columns are; resource is -1 if there is none.
type layout struct{ key, id, resource int }

// read reads the lines of a file, and all of their mistakes.
func (f *keyFlags) read(in io.Reader) (records []record, wrong []error) {
	buffered := bufio.NewReader(in)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3) // the byte order mark that spreadsheets write
	}
	r := csv.NewReader(buffered)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	columns := layout{0, 1, 2}
	if f.resource != "" {
		columns.resource = -1
	}
	keys, ids := map[string]record{}, map[string]record{}
	for first := true; ; first = false {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, append(wrong, err) // it names the line
		}
		line, _ := r.FieldPos(0)
		if first && isHeader(fields) {
			if columns, err = f.header(fields); err != nil {
				return nil, []error{fmt.Errorf("line %d: %w", line, err)}
			}
			continue
		}
		rec, err := f.record(fields, columns)
		rec.line = line
		key, id := rec.kind+" "+rec.key, rec.kind+" "+rec.id
		switch before, again := keys[key]; {
		case err != nil:
		case again && before.id == rec.id:
			continue
		case again:
			err = fmt.Errorf("the key %q has another id in line %d", rec.key, before.line)
		default:
			if other, taken := ids[id]; taken {
				err = fmt.Errorf("the id %s has another key in line %d", rec.id, other.line)
			}
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", line, err))
			continue
		}
		keys[key], ids[id] = rec, rec
		records = append(records, rec)
	}
	return records, wrong
}

// isHeader says whether the first line has names of columns.
func isHeader(fields []string) bool {
	return slices.ContainsFunc(fields, func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "externalkey") })
}

// header finds the columns by their names.
func (f *keyFlags) header(fields []string) (layout, error) {
	columns := layout{-1, -1, -1}
	places := map[string]*int{"externalkey": &columns.key, "id": &columns.id, "resource": &columns.resource}
	for i, name := range fields {
		place, known := places[strings.ToLower(strings.TrimSpace(name))]
		switch {
		case !known:
			return columns, fmt.Errorf("column %q is not known; columns are externalkey, id and resource", name)
		case *place >= 0:
			return columns, fmt.Errorf("column %q is there twice", name)
		}
		*place = i
	}
	switch {
	case columns.id < 0:
		return columns, errors.New("there is no column id")
	case columns.resource < 0 && f.resource == "":
		return columns, errors.New("there is no column resource; add it, or use --resource")
	}
	return columns, nil
}

// record reads one line.
func (f *keyFlags) record(fields []string, columns layout) (record, error) {
	need := max(columns.key, columns.id, columns.resource) + 1
	if len(fields) < need {
		return record{}, fmt.Errorf("%s, want %d: externalkey, id and, without --resource, resource", plural.Of(len(fields), "column"), need)
	}
	rec := record{kind: f.resource, key: strings.Clone(fields[columns.key]), id: strings.Clone(strings.TrimSpace(fields[columns.id]))}
	if columns.resource >= 0 {
		kind := strings.TrimSpace(fields[columns.resource])
		if f.resource != "" && kind != f.resource {
			return rec, fmt.Errorf("the resource is %q, and --resource says %q", kind, f.resource)
		}
		rec.kind = strings.Clone(kind)
	}
	if why := translate.BadKey(rec.key); why != "" {
		return rec, errors.New(why)
	}
	return rec, errors.Join(checkResource(rec.kind), checkID(rec.id))
}

// conflict is a key that was left alone, for machines.
type conflict struct {
	Line     int    `json:"line"`
	Resource string `json:"resource"`
	Key      string `json:"externalkey"`
	ID       string `json:"id"`
	Error    string `json:"error"`
}

// importAll sets the keys of a file, or only checks them.
func (f *keyFlags) importAll(ctx context.Context, out io.Writer, keys *store.Admin, records []record, dryRun bool, watched *progress.Task) error {
	set, unchanged, conflicts := 0, 0, []conflict{}
	write := keys.Set
	if dryRun {
		write = keys.Check
	}
	watched.Begin("import external keys", "key", int64(len(records)))
	for _, rec := range records {
		changed, err := write(ctx, rec.kind, rec.key, rec.id)
		switch {
		case errors.Is(err, store.ErrTaken):
			conflicts = append(conflicts, conflict{rec.line, rec.kind, rec.key, rec.id, err.Error()})
			if !f.asJSON {
				fmt.Fprintf(out, "line %d: %s: %s\n", rec.line, output.OneLine([]byte(rec.key)), err)
			}
		case natserr.StoreFailed(err):
			return fmt.Errorf("line %d: the bucket of external keys is full; give its stream a larger max_bytes, or set nats.max_bytes.keys before it is made: %w; %d were set, and the import can be repeated", rec.line, err, set)
		case err != nil:
			return fmt.Errorf("line %d: %w; %d were set, and the import can be repeated", rec.line, err, set)
		case changed:
			set++
		default:
			unchanged++
		}
		watched.Add(1)
	}
	if f.asJSON {
		err := json.NewEncoder(out).Encode(struct {
			Cloud     string     `json:"cloud"`
			Set       int        `json:"set"`
			Unchanged int        `json:"unchanged"`
			Conflicts []conflict `json:"conflicts"`
			DryRun    bool       `json:"dryRun"`
		}{f.Cloud, set, unchanged, conflicts, dryRun})
		if err != nil {
			return err
		}
	} else {
		how := "set"
		if dryRun {
			how = "would be set"
		}
		fmt.Fprintf(out, "%d %s, %d set already, %s\n", set, how, unchanged, plural.Of(len(conflicts), "conflict"))
	}
	if len(conflicts) > 0 {
		return exit.Silent(exit.Failure)
	}
	return nil
}

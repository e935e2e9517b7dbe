package sim

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/factro-bridge/factro-bridge/internal/sim/courier"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// journal records the changes of the tenant and its payloads in a file, one line for each change. A simulator that was killed
// restores every change that it has answered. A line is written to the operating system before the change is answered: it survives
// a crash of the process, but not a power failure. Settings, webhooks and logs are not in the journal; they come from the config. A
// nil journal records nothing.
type journal struct{ file *os.File }

// line is one entry of the journal, with one field set.
type line struct {
	Changes []tenant.Change      `json:"changes,omitempty"`
	Payload *courier.PayloadLine `json:"payload,omitempty"`
	Settled *courier.SettledLine `json:"settled,omitempty"`
}

// openJournal creates the directory, opens the journal in it, and returns its lines. If a crash has cut off the last line, its change
// was never answered, and openJournal removes the line.
func openJournal(dir string) (*journal, []line, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	lines, whole, err := readLines(file)
	if err == nil {
		err = file.Truncate(whole)
	}
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("journal: %w", err), file.Close())
	}
	return &journal{file}, lines, nil
}

// readLines reads all complete lines. size is their number of bytes.
func readLines(r io.Reader) (lines []line, size int64, err error) {
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return lines, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
		var l line
		if err := tenant.Decode(text, &l); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		lines, size = append(lines, l), size+int64(len(text))
	}
}

func (j *journal) write(l line) error {
	if j == nil {
		return nil
	}
	text, err := json.Marshal(l)
	if err == nil {
		_, err = j.file.Write(append(text, '\n')) // in one piece: callers hold different locks
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// changes records the changes of an operation, if there are any.
func (j *journal) changes(cs []tenant.Change) error {
	if len(cs) == 0 {
		return nil
	}
	return j.write(line{Changes: cs})
}

func (j *journal) clear() error {
	if j == nil {
		return nil
	}
	if err := j.file.Truncate(0); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if _, err := j.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// Payload records a stored payload.
func (j *journal) Payload(p courier.PayloadLine) error { return j.write(line{Payload: &p}) }

// Settled records how a delivery ended.
func (j *journal) Settled(l courier.SettledLine) error { return j.write(line{Settled: &l}) }

// restore restores the state from the journal. Payloads that were being delivered are delivered again after Resume, because it is not
// known whether their receiver has answered.
func (s *Sim) restore(lines []line) {
	pending, settled := []courier.PayloadLine{}, map[string]*courier.SettledLine{}
	for _, l := range lines {
		s.tenant.Restore(l.Changes)
		if l.Payload != nil {
			pending = append(pending, *l.Payload)
		}
		if l.Settled != nil {
			settled[l.Settled.ID] = l.Settled
		}
	}
	for _, p := range pending {
		s.courier.Restore(p, settled[p.ID])
	}
}

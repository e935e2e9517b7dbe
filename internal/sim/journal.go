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

// journal keeps in a file what became of the tenant and of its payloads, a line for each change, so that a simulator that
// is killed comes back with what it had answered for. A line is handed to the operating system before the change is
// answered: that outlives the process, and not a power cut. Settings, webhooks and the logs are not kept; they come from
// the config again. A nil journal keeps nothing.
type journal struct{ file *os.File }

// line is one entry of the journal, with one field set.
type line struct {
	Changes []tenant.Change      `json:"changes,omitempty"`
	Payload *courier.PayloadLine `json:"payload,omitempty"`
	Settled *courier.SettledLine `json:"settled,omitempty"`
}

// openJournal opens the journal in a directory, which it makes, and returns what is in it. A last line that a crash cut
// short was never answered for, and is cut off.
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

// readLines reads all lines that are whole, and how many bytes they are.
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

// changes writes down what an operation did, if it did anything.
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

// Payload writes down a payload that was stored.
func (j *journal) Payload(p courier.PayloadLine) error { return j.write(line{Payload: &p}) }

// Settled writes down how a delivery ended.
func (j *journal) Settled(l courier.SettledLine) error { return j.write(line{Settled: &l}) }

// restore takes the simulator to where its journal ends. Payloads that were on their way are delivered again, from resume
// on: whether their receiver has answered is not known.
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

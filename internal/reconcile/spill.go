package reconcile

import (
	"errors"
	"fmt"
	"os"
)

// place is the position of a record in a spill.
type place struct {
	offset int64
	length int
}

// spill keeps the records of one reading: in memory up to a few megabytes, and all of them in a temporary file beyond that.
// It does not contain the records' webhooks.
type spill struct {
	held int // bytes that stay in memory
	mem  []byte
	file *os.File
	size int64
	// removed is set if the file has been unlinked.
	removed bool
}

func (s *spill) add(raw []byte) (place, error) {
	p := place{s.size, len(raw)}
	if s.file == nil && len(s.mem)+len(raw) <= s.held {
		s.mem = append(s.mem, raw...)
		s.size += int64(len(raw))
		return p, nil
	}
	if s.file == nil {
		file, err := os.CreateTemp("", "factro-bridge-reconcile-")
		if err != nil {
			return place{}, fmt.Errorf("spill: %w", err)
		}
		s.file = file
		// Unlinked at once, so that nothing remains if this process dies. Where an open file cannot be unlinked, close
		// removes it.
		s.removed = os.Remove(file.Name()) == nil
		if _, err := file.Write(s.mem); err != nil {
			return place{}, fmt.Errorf("spill: %w", err)
		}
		s.mem = nil
	}
	if _, err := s.file.Write(raw); err != nil {
		return place{}, fmt.Errorf("spill: %w", err)
	}
	s.size += int64(len(raw))
	return p, nil
}

func (s *spill) read(p place) ([]byte, error) {
	if s.file == nil {
		return s.mem[p.offset : p.offset+int64(p.length)], nil
	}
	raw := make([]byte, p.length)
	if _, err := s.file.ReadAt(raw, p.offset); err != nil {
		return nil, fmt.Errorf("spill: %w", err)
	}
	return raw, nil
}

// close removes the file.
func (s *spill) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if !s.removed {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

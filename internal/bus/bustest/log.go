package bustest

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// Log keeps what was logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// NewLog returns a logger, and what it logs, as JSON.
func NewLog() (*slog.Logger, *Log) {
	l := &Log{}
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), l
}

// Quiet is a logger for tests to which the log does not matter.
func Quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was logged.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Count is how often a text was logged.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

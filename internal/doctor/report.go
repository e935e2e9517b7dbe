package doctor

import (
	"fmt"
	"slices"
)

// Level is how bad a finding is.
type Level int

// The levels. Unknown is a check that could not be made; it says nothing of good or bad.
const (
	OK Level = iota
	Note
	Unknown
	Warning
	Problem
)

var levels = []string{"ok", "note", "unknown", "warning", "problem"}

func (l Level) String() string { return levels[l] }

// MarshalText writes the level as in the documents.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads it.
func (l *Level) UnmarshalText(text []byte) error {
	i := slices.Index(levels, string(text))
	if i < 0 {
		return fmt.Errorf("%q is no level", text)
	}
	*l = Level(i)
	return nil
}

// Finding is one thing that a check has found.
type Finding struct {
	Level Level `json:"level"`
	// Cloud is the cloud that it is about, or "" for all.
	Cloud string `json:"cloud,omitempty"`
	// About is the setting, stream, file or address that it is about.
	About string `json:"about,omitempty"`
	// What was found, and why that matters.
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
	// Fix is a line that helps: of a shell, or of the configuration.
	Fix string `json:"fix,omitempty"`
}

// Result is what a check has found. Its level is that of the worst finding.
type Result struct {
	Name     string    `json:"name"`
	Group    string    `json:"group"`
	Level    Level     `json:"level"`
	Findings []Finding `json:"findings"`
}

// Report is what all checks have found.
type Report struct {
	// OK says that there is no problem.
	OK bool `json:"ok"`
	// The numbers of findings.
	Problems int `json:"problems"`
	Warnings int `json:"warnings"`
	Notes    int `json:"notes"`
	Unknown  int `json:"unknown"`
	// Requests are those that were made to factro, for each cloud.
	Requests map[string]int `json:"requests"`
	Checks   []Result       `json:"checks"`
}

func (r *Report) add(result Result) {
	r.Checks = append(r.Checks, result)
	for _, f := range result.Findings {
		switch f.Level {
		case Problem:
			r.Problems++
		case Warning:
			r.Warnings++
		case Note:
			r.Notes++
		case Unknown:
			r.Unknown++
		case OK:
		}
	}
	r.OK = r.Problems == 0
}

// scrub takes secrets out of all texts of the report, whoever has put them there.
func (r *Report) scrub(text func(string) string) {
	for i := range r.Checks {
		for n := range r.Checks[i].Findings {
			f := &r.Checks[i].Findings[n]
			f.About, f.What, f.Fix = text(f.About), text(f.What), text(f.Fix)
		}
	}
}

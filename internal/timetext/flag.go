package timetext

import (
	"time"
)

// FlagValue is the value of a flag.
type FlagValue time.Duration

// Flag is a flag for a duration, with its default.
func Flag(p *time.Duration, preset time.Duration) *FlagValue {
	*p = preset
	return (*FlagValue)(p)
}

// Set reads the duration. What the flag library adds to the error names the flag.
func (d *FlagValue) Set(s string) error {
	v, err := Duration(s)
	if err != nil {
		return err
	}
	*d = FlagValue(v)
	return nil
}

// Type names the kind of value in the help.
func (*FlagValue) Type() string { return "duration" }

func (d *FlagValue) String() string { return time.Duration(*d).String() }

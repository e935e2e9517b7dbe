package topology

import (
	"fmt"
	"strings"
)

// Feature is something of the NATS server that the bridge uses, and the version that has it first.
type Feature struct {
	// Name is what needs it, for operators.
	Name string
	// Major and Minor are the first version that has it.
	Major, Minor int
	// Required says that the bridge does not work without it.
	Required bool
	// Without is what happens on an older server.
	Without string
}

// The features of the server that not every version has. This is the only place that knows their versions.
var (
	MessageTTL = Feature{
		Name: "streams with lifetimes of messages", Major: 2, Minor: 11, Required: true,
		Without: "the bridge is not ready and takes part in nothing",
	}
	Schedules = Feature{
		Name: "delayed commands (notbefore)", Major: 2, Minor: 12,
		Without: "commands with notbefore are rejected, all others go on",
	}
)

// Features are all of them.
func Features() []Feature { return []Feature{MessageTTL, Schedules} }

// Least is the first version that has the feature, such as 2.12.
func (f Feature) Least() string { return fmt.Sprintf("%d.%d", f.Major, f.Minor) }

// In says whether a server of a version has the feature. A version that cannot be read is believed.
func (f Feature) In(version string) bool {
	var major, minor int
	if n, err := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d", &major, &minor); err != nil || n != 2 {
		return true
	}
	return major > f.Major || major == f.Major && minor >= f.Minor
}

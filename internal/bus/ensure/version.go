package ensure

import (
	"errors"
	"fmt"
)

// Least version of the server, whose streams know messages with a life of their own (message TTL).
const leastMajor, leastMinor = 2, 11

var errOldServer = errors.New("the NATS server is too old")

// checkVersion says whether a server is too old. A version that cannot be read is believed.
func checkVersion(version string) error {
	var major, minor int
	if n, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || n != 2 {
		return nil //nolint:nilerr // it is none that we know
	}
	if major < leastMajor || major == leastMajor && minor < leastMinor {
		return fmt.Errorf("%w: it is %.40s, and the bridge needs %d.%d or later", errOldServer, version, leastMajor, leastMinor)
	}
	return nil
}

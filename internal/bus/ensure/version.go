package ensure

import (
	"errors"
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
)

var errOldServer = errors.New("the NATS server is too old")

// checkVersion says whether a server is too old: whether it lacks a feature without which the bridge does not work.
func checkVersion(version string) error {
	for _, f := range topology.Features() {
		if f.Required && !f.In(version) {
			return fmt.Errorf("%w: it is %.40s, and the bridge needs %s or later", errOldServer, version, f.Least())
		}
	}
	return nil
}

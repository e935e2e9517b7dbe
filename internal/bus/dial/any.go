package dial

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/nats-io/nats.go"
)

// cutAttempts is how often a server is asked whose reason was lost, see cutOff.
const cutAttempts = 4

// Any connects to one of the configured servers, or says of each why not. The library tells the reason of the last one only,
// and of a refused connection none, so when all have failed each is asked once more.
func Any(cfg Config, opts []nats.Option) (*nats.Conn, error) {
	tries := NewAttempts(cfg, DefaultRhythm, nil, slog.New(slog.DiscardHandler))
	opts = append(opts, nats.SetCustomDialer(tries))
	nc, err := nats.Connect(cfg.URL, opts...)
	for n := 1; n < cutAttempts && cutOff(err); n++ {
		nc, err = nats.Connect(cfg.URL, opts...)
	}
	if err == nil {
		return nc, nil
	}
	if errors.Is(WithoutURL(err), errAddress) {
		return nil, fmt.Errorf("connect to NATS at %s: %w", secret.Address(cfg.URL), errAddress)
	}
	tries.Reported(err)
	if addresses := strings.Split(cfg.URL, ","); len(addresses) > 1 {
		for _, address := range addresses {
			nc, err := nats.Connect(address, opts...)
			if err == nil {
				return nc, nil // by now
			}
			tries.Reported(err)
		}
	}
	return nil, fmt.Errorf("connect to NATS at %s: %w", secret.Address(cfg.URL), tries.reasons())
}

// errAddress stands for the complaints about an address that cannot be read, which quote it, the password in it too.
var errAddress = errors.New("the address is not of the form nats://host:port; in a user or a password all but letters, digits and -._~ " +
	"is percent-encoded: a comma as %2C, / as %2F, ? as %3F, # as %23, % as %25, a blank as %20")

// WithoutURL replaces an error that quotes an address.
func WithoutURL(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return errAddress
	}
	return err
}

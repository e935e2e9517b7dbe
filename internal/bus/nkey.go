package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// nkey signs with the key that the file holds by then. The client reads the public key once only; hence it is set again
// here. The client has its lock while it asks for a signature, and has sent off the old public key by then, so a replaced
// key costs one refused attempt.
func (b *Bus) nkey() (nats.Option, error) {
	key, err := readNkey(b.cfg.NkeyFile)
	if err != nil {
		return nil, err
	}
	return nats.Nkey(key.Nkey, func(nonce []byte) ([]byte, error) {
		key, err := readNkey(b.cfg.NkeyFile)
		if err != nil {
			return nil, err
		}
		if nc := b.signing.Load(); nc != nil {
			nc.Opts.Nkey = key.Nkey
		}
		return key.SignatureCB(nonce)
	}), nil
}

func readNkey(file string) (nats.Options, error) {
	var key nats.Options
	opt, err := nats.NkeyOptionFromSeed(file)
	if err == nil {
		err = opt(&key)
	}
	if err != nil {
		return key, fmt.Errorf("nats.nkey_file: %w", err)
	}
	return key, nil
}

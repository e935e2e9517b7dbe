package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// CommandDigest is a digest of a command's data, however it is written: blanks, the order of properties and the way of escaping
// make no difference, the digits of numbers do. No data at all counts as {}, as it does for the bridge. It is "" for what is
// no JSON.
//
// The bridge writes it into each result of the command, as [Result.CommandDigest].
func CommandDigest(data []byte) string {
	if len(bytes.Trim(data, binding.Blanks)) == 0 {
		data = []byte("{}")
	}
	canonical, err := jsontext.Canonical(data)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Package identity distinguishes commands and events from others by digests of their sources and data. The contract has all of
// them. It knows no message and no stream.
package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// digits is the length of a short digest: short enough for an id that people read, and too long to find a
// second source for it.
const digits = 16

// separator stands between the source and the id of a command. It is no UTF-8, so neither of them has it, and no id alone can be taken
// for a source and an id.
const separator = "\xff"

// Command distinguishes a command from all other commands of its cloud. The source of a plain JSON command is "", and its id alone is
// its identity. It is not for people, and its form may change.
func Command(source, id string) string {
	if source == "" {
		return id
	}
	return source + separator + id
}

// SourceDigest is a short digest of a source, in hexadecimal digits, and "" for none. It stands in the ids of results and in
// message ids, where a whole URI would be too long.
func SourceDigest(source string) string {
	if source == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(source))
	return hex.EncodeToString(sum[:])[:digits]
}

// BodyDigest is a short digest of an event's data, in hexadecimal digits.
func BodyDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:digits]
}

// OwnID is the id of an event whose id is that of another event already, with other data: what a webhook's body calls its id
// may be that of a webhook or of a task. It is the same each time for the same data.
func OwnID(id string, data []byte) string { return id + "." + BodyDigest(data) }

// CommandDigest is a digest of a command's data, however it is written: blanks, the order of properties and the way of escaping
// make no difference, the digits of numbers do. No data at all counts as {}, as it does for the bridge. It is "" for what is
// no JSON.
//
// The bridge writes it into each result of the command, as commandDigest.
func CommandDigest(data []byte) string {
	if len(bytes.Trim(data, " \t\r\n")) == 0 {
		data = []byte("{}")
	}
	canonical, err := jsontext.Canonical(data)
	if err != nil {
		return ""
	}
	return DigestOf(canonical)
}

// DigestOf is the CommandDigest of data in the form that jsontext.Canonical gives it.
func DigestOf(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// FormerFingerprint is the fingerprint in records of older bridges. It covers the bytes of the data.
func FormerFingerprint(operation string, data []byte) string {
	sum := sha256.Sum256(append([]byte(operation+"\n"), data...))
	return hex.EncodeToString(sum[:])
}

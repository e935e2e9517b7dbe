package translate

import (
	"github.com/google/uuid"

	"github.com/factro-bridge/factro-bridge/internal/jsontext"
)

// Ids, actions and compared values have to be valid text. encoding/json replaces every lone surrogate and every byte that
// is not UTF-8 by U+FFFD, so that different ids would become equal.

// identifier is the value of an id: the text of a string, or the digits of a number as written. Parsing a large number
// would lose digits.
func identifier(raw string) (string, bool) {
	if isNumber(raw) {
		return raw, true
	}
	return jsontext.String(raw)
}

func isNumber(raw string) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// standInSpace is the namespace of the ids that replace ids that are not valid text or too long.
var standInSpace = uuid.MustParse("0f6d3f0a-7e0c-5a53-8f0e-6a8f3c1d9b47")

// standInID replaces an id that cannot be used: equal JSON gives equal ids.
func standInID(raw string) string { return uuid.NewSHA1(standInSpace, []byte(raw)).String() }

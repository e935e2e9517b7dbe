package translate

import "github.com/google/uuid"

// Ids, actions and what is compared have to be valid text. encoding/json makes U+FFFD of every lone surrogate and of every
// byte that is no UTF-8, so that different ids would become one.

// identifier is the value of an id: the text of a string, or the digits of a number as they are written. A large number
// would lose digits if it were read as one.
func identifier(raw string) (string, bool) {
	if isNumber(raw) {
		return raw, true
	}
	return text(raw)
}

func isNumber(raw string) bool {
	return len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9')
}

// standInSpace is the name space of the ids that stand for ids that are no valid text or too long.
var standInSpace = uuid.MustParse("0f6d3f0a-7e0c-5a53-8f0e-6a8f3c1d9b47")

// standInID stands for an id that cannot be one: the same one for the same JSON.
func standInID(raw string) string { return uuid.NewSHA1(standInSpace, []byte(raw)).String() }

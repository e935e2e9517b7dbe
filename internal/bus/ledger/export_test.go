package ledger

// Keys of entries.
var (
	KeyOf    = keyOf
	KeyToken = keyToken
)

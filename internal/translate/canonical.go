package translate

import "github.com/factro-bridge/factro-bridge/internal/jsontext"

// Canonical writes JSON so that equal data has equal bytes. The result is for comparison, not for sending.
func Canonical(data []byte) ([]byte, error) { return jsontext.Canonical(data) }

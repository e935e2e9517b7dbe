//go:build !chaos

package egress

// crashpoint marks a place where a test build can crash on purpose. This build cannot.
func crashpoint(string) {}

//go:build !chaos

package egress

// crashpoint is where a build for tests can be made to die. This one cannot.
func crashpoint(string) {}

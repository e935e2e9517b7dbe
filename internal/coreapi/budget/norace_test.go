//go:build !race

package budget

// raced says whether the race detector is on, which makes virtual hours as slow as real minutes.
const raced = false

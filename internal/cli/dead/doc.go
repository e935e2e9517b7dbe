// Package dead has the commands for dead letters: list, show, parked, redrive and drop.
//
// In: names of dead letters, or filters. Out: lines about them, and what was sent again. It never shows what looks like credentials,
// and deletes nothing that was not named or chosen.
package dead

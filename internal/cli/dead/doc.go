// Package dead has the commands for dead letters: list, show, parked, redrive and drop.
//
// In: names of dead letters, or filters. Out: lines about them, and the messages that were sent again. It never shows values that look
// like credentials, and deletes only dead letters that were named or selected.
package dead

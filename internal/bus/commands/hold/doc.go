// Package hold remembers the lanes of commands that a dead letter stops.
//
// In: a command that became a dead letter, and its lane. Out: the lanes that are held, also after a restart and for the next bridge,
// and whether the dead letter of a hold is still there: a lane goes on once it was sent again, dropped, or has expired.
//
// It never decides whether a dead letter stops a lane, and carries out nothing.
package hold

// Package takeover gives the clouds their own streams where an older version had one for all.
//
// In: a connection, on which a bridge may manage. Out: the clouds' streams, with what the old ones held of them and with their subjects.
// All that is known of how far it is stands on the server, so that each step can be made again, by the same bridge after a crash or
// by another at the same time.
//
// It never deletes a stream, and never takes the subjects of clouds that another bridge works for.
package takeover

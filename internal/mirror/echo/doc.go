// Package echo finds out which of our own commands made a change, so that a sender that also subscribes can ignore its own writes.
//
// In: the results of commands, and the changes of objects with the whole objects before and after. Out: for a change, the command
// that made it and its sender, exact or likely, or nothing. It keeps the commands of the last minutes, bounded by number and age.
//
// A wrong mark is worse than none: a sender would miss what somebody else did. So exact needs a proof in factro's own answer, and
// where somebody else may have contributed there is no mark. It does no I/O and has no clock: times come in with commands and reads.
package echo

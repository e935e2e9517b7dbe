// Package lookup finds objects in the mirror's copy that are as new as somebody wants them.
//
// In: the name of an object, and how old its copy may be. Out: the copy and its age, or why it is not to be used: it is older, an event
// of the object is not in it yet, or there is none. It reads what the mirror has written, never writes, and never asks factro.
package lookup

// Package mirror has the commands that read the copy of factro's objects: one object, and what changes.
//
// In: arguments and flags. Out: objects and changes for people, or JSON for programs, and an exit code. What is known of the objects
// comes from pkg/events/change. It never calls factro.
package mirror

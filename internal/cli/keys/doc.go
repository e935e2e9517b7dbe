// Package keys has the commands that show, set, forget and import external keys.
//
// In: arguments, flags, and a CSV file. Out: rows for people or JSON for programs, progress, and an exit code. What is known of the
// keys comes from internal/bus/keys.
package keys

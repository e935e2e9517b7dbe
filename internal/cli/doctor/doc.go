// Package doctor has the command "bridge doctor".
//
// In: flags and a configuration. Out: the report of internal/doctor, as text or as JSON, and an exit code. It checks nothing itself.
package doctor

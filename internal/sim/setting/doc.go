// Package setting has values that are set by name: from a flag, from JSON, or from the control API of the simulator.
//
// In: a table of settings, and a name with a text. Out: the value is set, or an error says what is expected. It defines no settings
// itself.
package setting

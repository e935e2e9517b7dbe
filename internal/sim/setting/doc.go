// Package setting has values that are set by name: from a flag, from JSON, or from the control API of the simulator.
//
// In: a table of settings, and a name with a text. Out: the value in its place, or what would be right. It knows no setting.
package setting

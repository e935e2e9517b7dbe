// Package config reads the configuration: a file of YAML and variables of the environment.
//
// In: a file, the environment. Out: a Config that was checked, all mistakes of one that is wrong, each with its line and
// setting, and the configurations of the packages that do the work. It never connects to anything.
package config

package bridge

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// ofKubernetes are the variables that Kubernetes makes of a service whose name begins like ours.
var ofKubernetes = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?$`)

// readEnvironment takes the settings of the environment, and remembers what looks like one and is none.
func (c *Config) readEnvironment(environ []string) error {
	all := env.ToMap(environ)
	opts := env.Options{Prefix: EnvPrefix, Environment: all}
	if err := env.ParseWithOptions(c, opts); err != nil {
		return c.whichVariables(err, all)
	}
	fields, err := env.GetFieldParamsWithOptions(c, opts)
	if err != nil {
		return err
	}
	for name := range all {
		known := slices.ContainsFunc(fields, func(f env.FieldParams) bool { return f.Key == name })
		if strings.HasPrefix(name, EnvPrefix) && !known && !ofKubernetes.MatchString(name) {
			c.unknown = append(c.unknown, name)
		}
	}
	slices.Sort(c.unknown)
	return nil
}

// whichVariables says which variables cannot be read. The library names fields of Go, which many settings share, and quotes values,
// which may be a secret in the wrong place; so the environment is read once more without each of them.
func (c *Config) whichVariables(err error, all map[string]string) error {
	most := mistakes(err)
	var errs []error
	for _, name := range sorted(all) {
		value := all[name]
		delete(all, name)
		left := mistakes(env.ParseWithOptions(c, env.Options{Prefix: EnvPrefix, Environment: all}))
		all[name] = value
		for _, m := range most {
			if count(most, m) > count(left, m) {
				errs = append(errs, fmt.Errorf("%s: cannot be read; want %s", name, wanted(m.Type.String())))
				break
			}
		}
	}
	if len(errs) == 0 {
		return errors.New("a variable cannot be read")
	}
	return errors.Join(errs...)
}

// sorted are the names of our variables.
func sorted(all map[string]string) (names []string) {
	for name := range all {
		if strings.HasPrefix(name, EnvPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// mistakes are the single ones in an error of the library's.
func mistakes(err error) (all []env.ParseError) {
	many, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return nil
	}
	for _, err := range many.Errors {
		if one, ok := errors.AsType[env.ParseError](err); ok {
			all = append(all, one)
		}
	}
	return all
}

func count(all []env.ParseError, like env.ParseError) (n int) {
	for _, m := range all {
		if m.Name == like.Name && m.Type == like.Type {
			n++
		}
	}
	return n
}

// wanted says in words what a setting of a type of Go is.
func wanted(goType string) string {
	switch goType {
	case "int", "int64":
		return "a whole number"
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	case "time.Duration":
		return "a duration such as 30s, 10m or 720h"
	case "bridge.Bytes":
		return "a number of bytes, or one with KiB, MiB or GiB"
	case "slog.Level":
		return "DEBUG, INFO, WARN or ERROR"
	case "secret.Source":
		return "file: or value: below it"
	}
	if strings.HasPrefix(goType, "[]") {
		return "a list"
	}
	return "settings below it"
}

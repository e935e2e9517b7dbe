package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// ofKubernetes are the variables that Kubernetes makes of a service whose name begins like ours.
var ofKubernetes = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?$`)

// unknownVariables are those that look like settings and are none.
func unknownVariables(c *Config, environ map[string]string) (names []string) {
	fields, err := env.GetFieldParamsWithOptions(c, env.Options{Prefix: EnvPrefix, Environment: environ})
	if err != nil {
		return nil // what cannot be read is reported as a mistake
	}
	for name := range environ {
		known := slices.ContainsFunc(fields, func(f env.FieldParams) bool { return f.Key == name })
		if strings.HasPrefix(name, EnvPrefix) && !known && !ofKubernetes.MatchString(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

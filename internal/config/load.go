package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Load reads a configuration file, or none if path is empty, and the environment, and validates what comes out.
func Load(path string, environ []string) (Config, error) {
	text, err := readConfig(path, environ)
	if err != nil {
		return Config{}, err
	}
	c := Default()
	c.path = path
	return c.load(path, text, environ)
}

// errNoConfig takes the place of the list of missing settings when there is no configuration at all.
var errNoConfig = errors.New("there is no configuration: no file is named, and no variable begins with " + EnvPrefix +
	"; \"bridge config sample\" prints a file to begin with")

func readConfig(path string, environ []string) ([]byte, error) {
	if path == "" {
		if !slices.ContainsFunc(environ, func(v string) bool {
			name, _, _ := strings.Cut(v, "=")
			return strings.HasPrefix(name, EnvPrefix) && !ofKubernetes.MatchString(name)
		}) {
			return nil, errNoConfig
		}
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return text, nil
}

func (c Config) load(path string, text []byte, environ []string) (Config, error) {
	c, wrong, err := c.read(text, environ)
	if err == nil {
		err = wrong.err()
	}
	if err != nil {
		return Config{}, fmt.Errorf("%s:\n%w", origin(path), err)
	}
	return c, nil
}

// origin says where a configuration comes from.
func origin(path string) string {
	if path == "" {
		return "configuration from the environment"
	}
	return "configuration " + path
}

// read reads the file's text and the environment, and says everything that is wrong with them. Its error is one of the form of
// the file.
func (c Config) read(text []byte, environ []string) (Config, *complaints, error) {
	doc, err := readDocument(text, &c)
	if err != nil {
		return c, nil, err
	}
	wrong := &complaints{doc: doc, environ: env.ToMap(environ), all: doc.mistakes}
	wrong.readEnvironment(&c)
	c.unknown = unknownVariables(&c, wrong.environ)
	for i := range c.Clouds {
		c.Clouds[i].setDefaults()
	}
	wrong.add(c.Validate())
	if c.Calls() {
		wrong.add(checkProxies(environ))
	}
	return c, wrong, nil
}

func (c *Cloud) setDefaults() {
	if c.Source == "" {
		c.Source = "urn:factro:cloud:" + c.Name
	}
	if c.API.URL == "" {
		c.API.URL = defaultAPI
	}
	if c.API.Reserve == 0 {
		c.API.Reserve = defaultReserve
	}
	if c.API.Timeout == 0 {
		c.API.Timeout = defaultTimeout
	}
	if c.OnDead == "" {
		c.OnDead = OnDeadContinue
	}
}

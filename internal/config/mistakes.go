package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// complaints are all mistakes of a configuration, each with its line if the file has the setting, or with its variable.
type complaints struct {
	doc     *document
	environ map[string]string
	all     []mistake
}

// readEnvironment sets what the environment says, over what the file says.
func (p *complaints) readEnvironment(c *Config) {
	err := env.ParseWithOptions(c, env.Options{Prefix: EnvPrefix, Environment: p.environ})
	if err == nil {
		return
	}
	// The library names Go's fields and quotes values. Each variable alone tells which of them is meant. Alone, an item of a list
	// is the first one: the library stops where one is missing.
	found := false
	for _, name := range slices.Sorted(maps.Keys(p.environ)) {
		var alone Config
		first := itemNumber.ReplaceAllString(name, "_0$1")
		one := env.ParseWithOptions(&alone, env.Options{Prefix: EnvPrefix, Environment: map[string]string{first: p.environ[name]}})
		if parse, ok := errors.AsType[env.ParseError](one); ok {
			found = true
			p.all = append(p.all, mistake{setting: name, text: name + ": want " + wanted(typeOf(parse)) + ", not this text", unread: true})
		}
	}
	if !found {
		p.all = append(p.all, mistake{text: "environment: a variable that begins with " + EnvPrefix + " cannot be read"})
	}
}

// itemNumber is the number of an item of a list in a variable's name, as in CLOUDS_1_NAME.
var itemNumber = regexp.MustCompile(`_[0-9]+(_|$)`)

// typeOf is the type that a value of the environment was to have.
func typeOf(err env.ParseError) reflect.Type { return cmp.Or(err.Type, reflect.TypeFor[string]()) }

// add takes what Validate and the likes of it say: one complaint a line, each beginning with its setting. What follows from
// a value that could not be read is left out.
func (p *complaints) add(err error) {
	if err == nil {
		return
	}
	known := p.all // one setting may have several of this kind
	for text := range strings.SplitSeq(err.Error(), "\n") {
		setting := settingOf(text)
		if !slices.ContainsFunc(known, func(m mistake) bool { return m.covers(setting) }) {
			p.all = append(p.all, p.placed(setting, text))
		}
	}
}

// placed is a complaint with the place that its setting comes from.
func (p *complaints) placed(setting, text string) mistake {
	name := variable(setting)
	if _, set := p.environ[name]; set && setting != "" {
		return mistake{setting: setting, text: fmt.Sprintf("%s (from %s)", text, name)}
	}
	return mistake{line: p.doc.line(setting), setting: setting, text: text}
}

// variable is the name of a setting's variable of the environment.
func variable(setting string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(setting))
}

// covers says whether a mistake makes others about a setting pointless: it is the same setting, or a group that was not read.
func (m mistake) covers(setting string) bool {
	if setting == "" || m.setting == "" {
		return false
	}
	rest, below := strings.CutPrefix(setting, m.setting)
	return below && (rest == "" || m.unread && (rest[0] == '.' || rest[0] == '[')) || m.setting == variable(setting)
}

// err is all mistakes in the order of their lines; nil if there are none.
func (p *complaints) err() error {
	slices.SortStableFunc(p.all, func(a, b mistake) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, m := range p.all {
		errs = append(errs, m)
	}
	return errors.Join(errs...)
}

package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// MirrorSettings say what the role mirror copies of factro, and how often it looks for what no event told.
type MirrorSettings struct {
	// Resources are the kinds of objects that are copied.
	Resources []string `yaml:"resources" env:"RESOURCES"`
	// DropFields are top-level fields that are neither stored nor published, each as resource.field.
	DropFields []string `yaml:"drop_fields" env:"DROP_FIELDS"`
	// Settle is how long events of an object are collected, so that several are one read.
	Settle time.Duration `yaml:"settle" env:"SETTLE"`
	// Recheck is how long after an event an object that looks unchanged is read once more; 0 for never.
	Recheck time.Duration `yaml:"recheck" env:"RECHECK"`
	// Verify is how often the copy is compared with factro's lists; 0 for never.
	Verify time.Duration `yaml:"verify" env:"VERIFY"`
	// Share is the part of factro's budget that the first copy and comparisons may use.
	Share float64 `yaml:"share" env:"SHARE"`
	// Whole has changes hold whole objects.
	Whole bool `yaml:"whole" env:"WHOLE"`
}

// Bounds of the settings.
const (
	mostSettle  = time.Minute
	leastVerify = time.Minute
)

func defaultMirror() MirrorSettings {
	return MirrorSettings{
		Resources: []string{"task", "package", "project"}, DropFields: []string{},
		Settle: time.Second, Recheck: 5 * time.Second, Verify: 24 * time.Hour, Share: 0.5,
	}
}

// Mirror is what the role mirror does, as its engine wants to know it.
type Mirror struct {
	Resources []string
	// DropFields are, for each resource that has some, the top-level fields that are neither stored nor published.
	DropFields              map[string][]string
	Settle, Recheck, Verify time.Duration
	Share                   float64
	Whole                   bool
}

// MirrorConfig is what the role mirror does for a cloud: the same for all of them.
func (c Config) MirrorConfig(_ Cloud) Mirror {
	m := c.Mirror
	drop := map[string][]string{}
	for _, entry := range m.DropFields {
		resource, field, _ := strings.Cut(entry, ".")
		drop[resource] = append(drop[resource], field)
	}
	return Mirror{Resources: slices.Clone(m.Resources), DropFields: drop, Settle: m.Settle, Recheck: m.Recheck, Verify: m.Verify, Share: m.Share, Whole: m.Whole}
}

func (m MirrorSettings) validate() error {
	errs := m.validateResources()
	for i, entry := range m.DropFields {
		if why := notDroppable(entry); why != "" {
			errs = append(errs, fmt.Errorf("mirror.drop_fields[%d]: %.80q %s", i, entry, why))
		}
	}
	if m.Settle < 0 || m.Settle > mostSettle {
		errs = append(errs, fmt.Errorf("mirror.settle: %s is not between 0s and %s", m.Settle, mostSettle))
	}
	if m.Recheck < 0 || m.Recheck > mostSettle {
		errs = append(errs, fmt.Errorf("mirror.recheck: %s is not between 0s and %s", m.Recheck, mostSettle))
	}
	if m.Verify != 0 && m.Verify < leastVerify {
		errs = append(errs, fmt.Errorf("mirror.verify: %s is shorter than %s, and not 0 for never", m.Verify, leastVerify))
	}
	if !(m.Share > 0 && m.Share <= 1) { // also if it is no number
		errs = append(errs, fmt.Errorf("mirror.share: %v is not above 0 and up to 1, such as 0.5 for half of the budget", m.Share))
	}
	return errors.Join(errs...)
}

func (m MirrorSettings) validateResources() (errs []error) {
	all := factro.MirroredResources()
	if len(m.Resources) == 0 {
		errs = append(errs, fmt.Errorf("mirror.resources: none is given; want some of %s", strings.Join(all, ", ")))
	}
	for i, resource := range m.Resources {
		of, known := factro.MirrorOf(resource)
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("mirror.resources[%d]: "+format, append([]any{i}, args...)...))
		}
		switch {
		case !known:
			bad("%.40q is none; want some of %s", resource, strings.Join(all, ", "))
		case slices.Index(m.Resources, resource) < i:
			bad("%q is there twice", resource)
		case of.Each != "" && !slices.Contains(m.Resources, of.Each):
			bad("%q needs %q beside it: factro lists the one by the other", resource, of.Each)
		}
	}
	return errs
}

// notDroppable says why a field cannot be dropped, or "".
func notDroppable(entry string) string {
	resource, field, ok := strings.Cut(entry, ".")
	of, known := factro.MirrorOf(resource)
	switch {
	case !ok:
		return "is no field: want resource.field, such as user.emailAddress"
	case !known:
		return "is a field of nothing that can be copied: want one of " + strings.Join(factro.MirroredResources(), ", ")
	case field == "id", field == of.EachField:
		return "cannot be dropped: without it nobody knows which object it is, or under which parent it belongs"
	case !slices.Contains(of.Fields(), field):
		fields := slices.DeleteFunc(of.Fields(), func(f string) bool { return f == "id" || f == of.EachField })
		return "is no top-level field of " + resource + ": want one of " + strings.Join(fields, ", ")
	}
	return ""
}

package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// mirrored loads a configuration of a process with the role mirror.
func mirrored(t *testing.T, settings string) (Config, error) {
	t.Helper()
	return Default().load("c.yaml", []byte("roles: [mirror]\nclouds: [{name: acme, api: {key: {value: k}}}]\nmirror:\n  "+settings+"\n"), nil)
}

// TestMirrorIsOff: nobody copies factro without asking for it.
func TestMirrorIsOff(t *testing.T) {
	t.Parallel()
	if c := Default(); c.Has(RoleMirror) || !slices.Contains(allRoles, RoleMirror) {
		t.Errorf("the roles are %v of %v", c.Roles, allRoles)
	}
	c, err := Default().load("c.yaml", []byte(valid+"\nmirror: {resources: [everything], share: 7}\n"), nil)
	if err != nil {
		t.Errorf("a process without the role: %v", err)
	}
	if c.Mirror.Share != 7 {
		t.Errorf("got %+v", c.Mirror)
	}
}

// TestMirrorDefaults: what a process does whose operator only adds the role.
func TestMirrorDefaults(t *testing.T) {
	t.Parallel()
	c, err := mirrored(t, "whole: false")
	if err != nil {
		t.Fatal(err)
	}
	want := Mirror{Resources: []string{"task", "package", "project"}, DropFields: map[string][]string{}, Settle: time.Second, Recheck: 5 * time.Second, Verify: 24 * time.Hour, Share: 0.5}
	if got := c.MirrorConfig(c.Clouds[0]); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !c.Calls() {
		t.Error("it calls nobody")
	}
	checked := Checked{Config: c}
	if lines := checked.Meaning(); !strings.Contains(lines[0], "mirror (copies task, package, project)") {
		t.Errorf("its meaning is %q", lines)
	}
}

// TestMirrorOfAll: every resource can be copied, and every field but those that say what an object is can be dropped.
func TestMirrorOfAll(t *testing.T) {
	t.Parallel()
	var drop []string
	for _, resource := range factro.MirroredResources() {
		m, _ := factro.MirrorOf(resource)
		for _, field := range m.Fields() {
			if field != "id" && field != m.EachField {
				drop = append(drop, resource+"."+field)
			}
		}
	}
	c, err := mirrored(t, "resources: ["+strings.Join(factro.MirroredResources(), ", ")+"]\n  drop_fields: ["+strings.Join(drop, ", ")+"]")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.MirrorConfig(c.Clouds[0]).DropFields["work-record"]; !slices.Contains(got, "internalBookingDetails") {
		t.Errorf("of work records are dropped %v", got)
	}
}

// TestMirrorMistakes: each names its setting and what would be right.
func TestMirrorMistakes(t *testing.T) {
	t.Parallel()
	for settings, want := range map[string]string{
		"resources: []":                         "mirror.resources: none is given; want some of task, checklist-entry, project",
		"resources: [project, tasks]":           `mirror.resources[1]: "tasks" is none; want some of task, checklist-entry, project`,
		"resources: [project, project]":         `mirror.resources[1]: "project" is there twice`,
		"resources: [task]":                     `mirror.resources[0]: "task" needs "project" beside it`,
		"resources: [project, checklist-entry]": `mirror.resources[1]: "checklist-entry" needs "task" beside it`,
		"drop_fields: [emailAddress]":           `mirror.drop_fields[0]: "emailAddress" is no field: want resource.field, such as user.emailAddress`,
		"drop_fields: [users.emailAddress]":     `mirror.drop_fields[0]: "users.emailAddress" is a field of nothing that can be copied: want one of task, `,
		"drop_fields: [user.city, user.mail]":   `mirror.drop_fields[1]: "user.mail" is no top-level field of user: want one of accountId, anonymized, city, emailAddress,`,
		"drop_fields: [user.id]":                `mirror.drop_fields[0]: "user.id" cannot be dropped`,
		"drop_fields: [task.projectId]":         `mirror.drop_fields[0]: "task.projectId" cannot be dropped`,
		"drop_fields: [task.customFields.x]":    `"task.customFields.x" is no top-level field of task`,
		"settle: -1s":                           "mirror.settle: -1s is not between 0s and 1m0s",
		"settle: 61s":                           "mirror.settle: 1m1s is not between 0s and 1m0s",
		"settle: 1":                             "mirror.settle: want a duration",
		"recheck: -1s":                          "mirror.recheck: -1s is not between 0s and 1m0s",
		"recheck: 61s":                          "mirror.recheck: 1m1s is not between 0s and 1m0s",
		"verify: 59s":                           "mirror.verify: 59s is shorter than 1m0s, and not 0 for never",
		"verify: -1h":                           "mirror.verify: -1h0m0s is shorter than 1m0s",
		"share: 0":                              "mirror.share: 0 is not above 0 and up to 1",
		"share: 1.01":                           "mirror.share: 1.01 is not above 0 and up to 1",
		"share: -0.5":                           "mirror.share: -0.5 is not above 0",
		"share: .nan":                           "mirror.share: NaN is not above 0",
		"share: half":                           "mirror.share: want a number such as 0.5, not this text",
		"whole: 2":                              "mirror.whole: want true or false",
		"everything: true":                      "mirror.everything: there is no such setting",
		"drop_fields: [user." + strings.Repeat("x", 1<<16) + "]": strings.Repeat("x", 70),
	} {
		_, err := mirrored(t, settings)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 4: ") || len(err.Error()) > 1000 {
			t.Errorf("%.100s: %.1000v, want %s", settings, err, want)
		}
	}
	for _, good := range []string{"settle: 0s", "settle: 1m", "recheck: 0s", "recheck: 1m", "verify: 0s", "verify: 1m", "share: 1", "share: 0.001", "drop_fields: [absence.type]"} {
		if _, err := mirrored(t, good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if _, err := Default().load("", nil, []string{
		EnvPrefix + "ROLES=mirror", EnvPrefix + "CLOUDS_0_NAME=acme", EnvPrefix + "CLOUDS_0_API_KEY_VALUE=k", EnvPrefix + "MIRROR_SHARE=half",
	}); err == nil || !strings.Contains(err.Error(), EnvPrefix+"MIRROR_SHARE: want a number such as 0.5, not this text") {
		t.Errorf("from the environment: %v", err)
	}
}

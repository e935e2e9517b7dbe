package tenant

import (
	"strings"
)

// Access rights come from grants to employees and teams, and from roles. The answer is a map from employees to reasons, not a list.

// rightRoutes describes the rights of one kind of object.
type rightRoutes struct {
	kind, param string
	noun        string // in reasons, such as HasDirectTaskReadRight
	property    string // the object's property in a reason; empty for templates, which have none
	roles       map[string]string
}

func (rt rightRoutes) object(t *tx) (Object, error) {
	if rt.kind == "package" {
		return t.packageInPath()
	}
	return t.get(rt.kind, t.params[rt.param])
}

// get lists who may read or write, and why. The right to write includes the right to read.
func (rt rightRoutes) get(write bool) handler {
	return func(t *tx) (any, error) {
		o, err := rt.object(t)
		if err != nil {
			return nil, err
		}
		out := map[string][]any{}
		for role, reason := range rt.roles {
			if employee := o.Str(role); employee != "" {
				out[employee] = append(out[employee], rt.reason(t, reason, o.ID(), ""))
			}
		}
		for _, grant := range t.list("right", where("referenceId", o.ID())) {
			if write && grant["canEdit"] != true {
				continue
			}
			word := "Read"
			if grant["canEdit"] == true {
				word = "Write"
			}
			team := grant.Str("teamId")
			if team == "" {
				employee := grant.Str("employeeId")
				out[employee] = append(out[employee], rt.reason(t, "HasDirect"+rt.noun+word+"Right", o.ID(), ""))
				continue
			}
			for _, member := range t.list("teamMember", where("teamId", team)) {
				employee := member.Str("employeeId")
				out[employee] = append(out[employee], rt.reason(t, "HasDirect"+rt.noun+"Team"+word+"Right", o.ID(), team))
			}
		}
		return out, nil
	}
}

func (rt rightRoutes) reason(t *tx, reason, id, team string) Object {
	if t.Variants.LowerCaseReasons {
		reason = strings.ToLower(reason[:1]) + reason[1:]
	}
	out := Object{"reason": reason}
	if rt.property != "" {
		out[rt.property] = id
	}
	if team != "" {
		out["teamId"] = team
	}
	return out
}

// grant gives a right to an employee or a team. Repeating it changes nothing.
func (rt rightRoutes) grant(grantee, granteeKind string, write bool) handler {
	return func(t *tx) (any, error) {
		o, err := rt.object(t)
		if err != nil {
			return nil, err
		}
		to := t.fields().Str(grantee)
		if _, err := t.get(granteeKind, to); err != nil {
			return nil, err
		}
		if known := t.grants(o.ID(), grantee, to, write); len(known) > 0 {
			return rt.granted(known[0], grantee), nil
		}
		right := Object{
			"id": t.NewID(), grantee: to, "referenceId": o.ID(), "canEdit": write, "mandantId": t.MandantID,
		}
		t.put("right", right)
		return rt.granted(right, grantee), nil
	}
}

func (rt rightRoutes) granted(right Object, grantee string) Object {
	if grantee == "employeeId" {
		return right
	}
	return Object{"id": right["id"], "teamId": right["teamId"], "referenceId": right["referenceId"], "mandantId": right["mandantId"]}
}

func (t *tx) grants(reference, grantee, to string, write bool) []Object {
	return t.list("right", func(o Object) bool {
		return o.Str("referenceId") == reference && o.Str(grantee) == to && o["canEdit"] == write
	})
}

// revoke succeeds even if the right did not exist, like detaching a tag.
func (rt rightRoutes) revoke(grantee string, write bool) handler {
	return func(t *tx) (any, error) {
		o, err := rt.object(t)
		if err != nil {
			return nil, err
		}
		for _, right := range t.grants(o.ID(), grantee, t.params[grantee], write) {
			t.remove("right", right.ID())
		}
		return nil, nil
	}
}

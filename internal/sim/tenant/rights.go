package tenant

import (
	"strings"
)

// Access rights are grants to employees and teams, plus what follows from roles. The answer is a map from employee to
// reasons, not a list.

// righted says where the rights of one kind of object are.
type righted struct {
	kind, param string
	noun        string // in reasons, such as HasDirectTaskReadRight
	property    string // names the object in a reason; empty for templates, which have none
	roles       map[string]string
}

func (rt righted) object(t *tx) (Object, error) {
	if rt.kind == "package" {
		return t.packageInPath()
	}
	return t.get(rt.kind, t.params[rt.param])
}

// get lists who may read or write, and why. Who may write may read.
func (rt righted) get(write bool) handler {
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

func (rt righted) reason(t *tx, reason, id, team string) Object {
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

// grant gives a right to an employee or a team, once.
func (rt righted) grant(grantee, granteeKind string, write bool) handler {
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

func (rt righted) granted(right Object, grantee string) Object {
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

// revoke succeeds whether the right was there or not, like detaching a tag.
func (rt righted) revoke(grantee string, write bool) handler {
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

package tenant

import (
	"unicode/utf8"
)

// completeUser sets the initials, which are not in a body.
func completeUser(_ *tx, _, after, _ Object) error {
	initial := func(name string) string {
		r, size := utf8.DecodeRuneInString(name)
		if size == 0 {
			return ""
		}
		return string(r)
	}
	after["fallbackImageText"] = initial(after.Str("firstName")) + initial(after.Str("lastName"))
	return nil
}

func listSubstitutes(t *tx) (any, error)      { return t.linkedUsers("userId", "substituteId") }
func listSubstitutedUsers(t *tx) (any, error) { return t.linkedUsers("substituteId", "userId") }

func (t *tx) linkedUsers(from, to string) (any, error) {
	if _, err := t.get("user", t.params["userId"]); err != nil {
		return nil, err
	}
	users := []Object{}
	for _, link := range t.list("substitute", where(from, t.params["userId"])) {
		if user, err := t.get("user", link.Str(to)); err == nil {
			users = append(users, user)
		}
	}
	return t.renderRows("user", users), nil
}

func addSubstitute(t *tx) (any, error) {
	user, substitute := t.params["userId"], t.fields().Str("substituteId")
	for _, id := range []string{user, substitute} {
		if _, err := t.get("user", id); err != nil {
			return nil, err
		}
	}
	t.put("substitute", Object{"id": user + " " + substitute, "userId": user, "substituteId": substitute})
	return nil, nil
}

func removeSubstitute(t *tx) (any, error) {
	if _, err := t.get("user", t.params["userId"]); err != nil {
		return nil, err
	}
	t.remove("substitute", t.params["userId"]+" "+t.params["substituteId"])
	return nil, nil
}

// paidSeats is an invented limit: how many users, without guests, the tenant may have.
const paidSeats = 50

func userQuota(t *tx) (any, error) {
	var active, inactive, activeGuests, inactiveGuests int64
	for _, u := range t.list("user", nil) {
		guest := u.Str("securityGroup") == "GuestRights"
		switch {
		case guest && u["isActive"] == true:
			activeGuests++
		case guest:
			inactiveGuests++
		case u["isActive"] == true:
			active++
		default:
			inactive++
		}
	}
	return Object{
		"maxPaidUserCount": whole(paidSeats), "activePaidUserCount": whole(active), "inactivePaidUserCount": whole(inactive),
		"availablePaidUserSeats": whole(paidSeats - active), "totalPaidUserCount": whole(active + inactive),
		"activeGuestUserCount": whole(activeGuests), "inactiveGuestUserCount": whole(inactiveGuests),
		"totalGuestUserCount": whole(activeGuests + inactiveGuests),
		"maxUserCount":        whole(2 * paidSeats), "activeUserCount": whole(active + activeGuests),
		"inactiveUserCount": whole(inactive + inactiveGuests),
		"totalUserCount":    whole(active + inactive + activeGuests + inactiveGuests),
	}, nil
}

// removeTeamMember expects the membership's id. An employee's id is unknown, as at factro.
func removeTeamMember(t *tx) (any, error) {
	member, err := t.get("teamMember", t.params["memberId"])
	if err != nil || member.Str("teamId") != t.params["teamId"] {
		return nil, notFound("teamMember", t.params["memberId"])
	}
	return deleteOne("teamMember", "memberId")(t)
}

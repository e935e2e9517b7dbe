package topology

import "strings"

// SubjectToken returns the nth token of a subject, "" if there is none.
func SubjectToken(subject string, n int) string {
	for ; n > 0; n-- {
		_, rest, more := strings.Cut(subject, ".")
		if !more {
			return ""
		}
		subject = rest
	}
	token, _, _ := strings.Cut(subject, ".")
	return token
}

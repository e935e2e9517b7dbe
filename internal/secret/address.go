package secret

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	// plainAddress is a server's address that cannot contain anything hidden.
	plainAddress = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z0-9+.-]*://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]*)?/?\s*$`)
	scheme       = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)
	// user is the part before the host of a URL within a text. A password may contain anything, so it ends with the last @
	// of the line.
	user = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\n]*@`)
)

// Address is a URL, or several separated by commas, in a form that may be shown: without a user, a password, a token or a
// query. What cannot be parsed is hidden: a password may contain commas and @, and be written wrongly.
func Address(text string) string {
	at := strings.LastIndex(text, "@")
	if at < 0 {
		parts := strings.Split(text, ",")
		for i, p := range parts {
			parts[i] = withoutUser(p)
		}
		return strings.Join(parts, ",")
	}
	var shown []string
	before := strings.Split(text[:at], ",")
	// What looks like an address before one with a user may be the beginning of the user or password, with a comma in it;
	// unless the one with a user has a scheme.
	for len(before) > 1 && plainAddress.MatchString(before[0]) && slices.ContainsFunc(before[1:], scheme.MatchString) {
		shown, before = append(shown, before[0]), before[1:]
	}
	rest, others, more := strings.Cut(text[at+1:], ",")
	rest, _, _ = strings.Cut(rest, "?")
	shown = append(shown, scheme.FindString(before[0])+hidden+"@"+rest)
	if more {
		shown = append(shown, Address(others))
	}
	return strings.Join(shown, ",")
}

// withoutUser is one URL without its user, if it can be recognised.
func withoutUser(text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case plainAddress.MatchString(text):
		return text
	case err != nil || u.Opaque != "":
		return scheme.FindString(text) + hidden
	}
	text, _, _ = strings.Cut(text, "#")
	text, _, _ = strings.Cut(text, "?")
	return text
}

// Scrub removes users, passwords and tokens from the URLs in a text, such as a library's error.
func Scrub(text string) string { return user.ReplaceAllString(text, "${1}"+hidden+"@") }

// errPort describes a valid port.
var errPort = errors.New("a port is a number from 1 to 65535")

// CheckPort returns an error for an invalid port of a URL's host, such as example.com:4222. A missing port is valid.
func CheckPort(host string) error {
	_, port, found := strings.Cut(host[strings.LastIndex(host, "]")+1:], ":")
	if !found {
		return nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return errPort
	}
	return nil
}

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
	// plainAddress is a server's address in which nothing can be hidden.
	plainAddress = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z0-9+.-]*://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]*)?/?\s*$`)
	scheme       = regexp.MustCompile(`^\s*[A-Za-z][A-Za-z0-9+.-]*://`)
	// user is what stands before the host of a URL within a text. A password may hold anything, so it ends with the last @ of
	// the line.
	user = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\n]*@`)
)

// Address is a URL, or several that are separated by commas, as it may be shown: without a user, a password, a token or a
// query. What cannot be read is hidden rather than shown: a password may hold commas and @, and be written wrongly.
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
	// What looks like an address before one with a user may be the user, and a comma in the password; unless the one with a
	// user has a scheme.
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

// withoutUser is one URL without a user, as far as that can be recognised.
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

// Scrub takes users, passwords and tokens out of the URLs in a text, such as an error of a library's.
func Scrub(text string) string { return user.ReplaceAllString(text, "${1}"+hidden+"@") }

// errPort says what a port can be.
var errPort = errors.New("a port is a number from 1 to 65535")

// CheckPort says what is wrong with the port of a URL's host, such as example.com:4222. Having none is no mistake.
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

package factro

import "net/url"

// WebLink returns the address at which factro's web UI shows an object, or "" where no form is known.
//
// The form is https://cloud.factro.com/{short}/?p={kind}&pi={id}, short being the first eight characters of the
// mandant's id. It needs no project and is known of tasks, projects, packages and users (two public clients use it).
func WebLink(origin, mandantID, resource, id string) string {
	kind, known := map[string]string{"task": "task", "project": "project", "package": "package", "user": "employee"}[resource]
	if !known || len(mandantID) < 8 || id == "" {
		return ""
	}
	query := url.Values{"p": {kind}, "pi": {id}}
	return origin + "/" + url.PathEscape(mandantID[:8]) + "/?" + query.Encode()
}

package sim

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
)

// refusedAs is why a request is refused. It decides over status and form of the answer.
type refusedAs int

const (
	refusedInvalid   refusedAs = iota // 400 or 422, form by variant
	refusedForbidden                  // 403, JSON with a message
	refusedMissing                    // 404, text
)

// refusal is an answer that refuses. One function, writeRefusal, turns it into HTTP.
type refusal struct {
	kind    refusedAs
	message string
	path    string // the offending property, if there is one
}

func (r *refusal) Error() string { return r.message }

func invalid(path, format string, args ...any) error {
	return &refusal{kind: refusedInvalid, path: path, message: fmt.Sprintf(format, args...)}
}

func forbidden(message string) error { return &refusal{kind: refusedForbidden, message: message} }

// notFound is factro's text for an unknown id. Only the task's is known, other nouns are presumed to be alike.
func notFound(kind, id string) error {
	return &refusal{kind: refusedMissing, message: fmt.Sprintf("%s with id %q not found", kinds[kind].noun, id)}
}

func writeRefusal(w http.ResponseWriter, r *refusal, v Variants) {
	switch r.kind {
	case refusedForbidden:
		writeJSON(w, http.StatusForbidden, object{"message": r.message})
	case refusedMissing:
		writeText(w, http.StatusNotFound, r.message)
	case refusedInvalid:
		writeInvalid(w, r, v)
	}
}

// writeInvalid gives refused input one of the forms that clients of factro look for.
func writeInvalid(w http.ResponseWriter, r *refusal, v Variants) {
	status, form := orElse(v.InvalidStatus, http.StatusBadRequest), v.InvalidBody
	switch form {
	case "text":
		writeText(w, status, r.message)
	case "errors", "violations", "details":
		writeJSON(w, status, object{form: []any{object{"path": r.path, "message": r.message}}})
	case "":
		form = InvalidBodies[0]
		fallthrough
	default:
		writeJSON(w, status, object{form: r.message})
	}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		writeText(w, http.StatusInternalServerError, "encode answer: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that is gone does not want the answer
}

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) //nolint:gosec // plain text, as factro itself answers with the id that it was asked for
}

func writeHTML(w http.ResponseWriter, status int, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n"+
		"</head>\n<body>\n<pre>%s</pre>\n</body>\n</html>\n", html.EscapeString(title), html.EscapeString(body))
}

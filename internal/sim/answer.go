package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/http"

	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

func writeRefusal(w http.ResponseWriter, r *tenant.RefusalError, v Variants) {
	if r.Whole && v.AtomicStatus != 0 {
		writeText(w, v.AtomicStatus, r.Message)
		return
	}
	switch r.Kind {
	case tenant.RefusedTooMany:
		writeText(w, http.StatusRequestEntityTooLarge, r.Message)
	case tenant.RefusedForbidden:
		writeJSON(w, http.StatusForbidden, map[string]any{"message": r.Message})
	case tenant.RefusedMissing:
		writeText(w, http.StatusNotFound, r.Message)
	case tenant.RefusedInvalid:
		writeInvalid(w, r, v)
	}
}

// writeInvalid gives refused input one of the forms that clients of factro look for.
func writeInvalid(w http.ResponseWriter, r *tenant.RefusalError, v Variants) {
	status, form := cmp.Or(v.InvalidStatus, http.StatusBadRequest), v.InvalidBody
	switch form {
	case "text":
		writeText(w, status, r.Message)
	case "errors", "violations", "details":
		writeJSON(w, status, map[string]any{form: []any{map[string]any{"path": r.Path, "message": r.Message}}})
	case "":
		form = tenant.InvalidBodies[0]
		fallthrough
	default:
		writeJSON(w, status, map[string]any{form: r.Message})
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
	_, _ = w.Write(data) // the client may have gone
}

func writeText(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func writeHTML(w http.ResponseWriter, status int, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n"+
		"</head>\n<body>\n<pre>%s</pre>\n</body>\n</html>\n", html.EscapeString(title), html.EscapeString(body))
}

package bridge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// schemaEntry is a line in the list of the schemas.
type schemaEntry struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// contractDocuments answers whoever wants to know what this bridge speaks: with its own prefix, at its own version.
func contractDocuments(prefix events.Prefix) http.Handler {
	// Made when it is first asked for: it takes a moment, and most bridges are never asked.
	asyncAPI := sync.OnceValues(func() ([]byte, error) { return contract.AsyncAPI(prefix) })

	mux := http.NewServeMux()
	mux.Handle("GET /contract/{$}", contractIndex)
	mux.HandleFunc("GET /contract/asyncapi.yaml", func(w http.ResponseWriter, r *http.Request) {
		text, err := asyncAPI()
		if err != nil {
			writeProblem(w, http.StatusInternalServerError, err.Error())
			return
		}
		write(w, r, "application/yaml", text)
	})
	mux.HandleFunc("GET /contract/asyncapi/{resource}", func(w http.ResponseWriter, r *http.Request) {
		text, err := contract.AsyncAPIOf(prefix, strings.TrimSuffix(r.PathValue("resource"), ".yaml"))
		if err != nil {
			writeProblem(w, http.StatusNotFound, err.Error())
			return
		}
		write(w, r, "application/yaml", text)
	})
	mux.HandleFunc("GET /contract/schemas/{$}", func(w http.ResponseWriter, r *http.Request) {
		var all []schemaEntry
		for _, name := range schemas.Names() {
			all = append(all, schemaEntry{name, events.SchemaURI(name)})
		}
		text, err := json.Marshal(all)
		if err != nil {
			writeProblem(w, http.StatusInternalServerError, err.Error())
			return
		}
		write(w, r, "application/json", text)
	})
	mux.HandleFunc("GET /contract/schemas/{name}", func(w http.ResponseWriter, r *http.Request) {
		text, ok := schemas.Document(strings.TrimSuffix(r.PathValue("name"), ".json"))
		if !ok {
			writeProblem(w, http.StatusNotFound, "there is no schema of this name; /contract/schemas/ lists them")
			return
		}
		write(w, r, "application/schema+json", text)
	})
	mux.HandleFunc("/contract/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusNotFound, "there is nothing here; /contract/ lists what there is")
	})
	return mux
}

func write(w http.ResponseWriter, r *http.Request, contentType string, text []byte) {
	w.Header().Set("Content-Type", contentType)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// writeProblem answers as RFC 9457 says.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // the asker may be gone
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
}

// Jaeger stands in for Jaeger where its image cannot be pulled: it takes OTLP over HTTP and answers /api/traces/<id> with as
// much of Jaeger's answer as the checks read. It shows nothing to a browser.
package main

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// span is a span in Jaeger's JSON.
type span struct {
	TraceID       string `json:"traceID"`
	OperationName string `json:"operationName"`
	Tags          []tag  `json:"tags"`
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type store struct {
	mu     sync.Mutex
	traces map[string][]span
}

func main() {
	s := &store{traces: map[string][]span{}}
	takes := &http.Server{Addr: ":4318", Handler: http.HandlerFunc(s.take), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- takes.ListenAndServe() }()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/traces/{id}", s.show)
	shows := &http.Server{Addr: ":16686", Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { ended <- shows.ListenAndServe() }()
	fmt.Fprintln(os.Stderr, <-ended)
	os.Exit(1)
}

func (s *store) take(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = http.MaxBytesReader(w, r.Body, 16<<20)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = io.LimitReader(unzipped, 64<<20)
	}
	text, err := io.ReadAll(body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(text, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, sp := range scope.GetSpans() {
				id := hex.EncodeToString(sp.GetTraceId())
				s.traces[id] = append(s.traces[id], span{id, sp.GetName(), []tag{{"span.kind", kinds[sp.GetKind().String()]}}})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty answer is a whole success
}

// kinds are Jaeger's words for those of OpenTelemetry.
var kinds = map[string]string{
	"SPAN_KIND_SERVER": "server", "SPAN_KIND_CLIENT": "client", "SPAN_KIND_PRODUCER": "producer", "SPAN_KIND_CONSUMER": "consumer",
	"SPAN_KIND_INTERNAL": "internal",
}

func (s *store) show(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans, found := s.traces[r.PathValue("id")]
	w.Header().Set("Content-Type", "application/json")
	if !found {
		w.WriteHeader(http.StatusNotFound)
	}
	answer := map[string]any{"data": []any{map[string]any{"traceID": r.PathValue("id"), "spans": spans}}}
	_ = json.NewEncoder(w).Encode(answer) // the asker may be gone
}

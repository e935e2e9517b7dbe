package reference

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/contract"
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/plural"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/pkg/events/notice"
)

//go:embed templates
var templates embed.FS

// pages are the templates of the reference. They write subjects for a prefix that is in all of their data.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"cell": cell, "anchor": anchor, "code": codeSpan, "span": words, "size": mebibytes, "count": plural.Of[int],
}).ParseFS(templates, "templates/*.tmpl"))

// Pages returns the files of docs/reference by their names: an index, the subjects, a page for each resource, and the
// AsyncAPI document.
func Pages(prefix events.Prefix) (map[string][]byte, error) {
	files := map[string][]byte{}
	doc, err := contract.AsyncAPI(prefix)
	if err != nil {
		return nil, err
	}
	files["asyncapi.yaml"] = doc
	all := resourcePages(prefix)
	for _, p := range all {
		if files[p.Resource+".md"], err = render("page.md.tmpl", p); err != nil {
			return nil, err
		}
	}
	if files["README.md"], err = render("index.md.tmpl", indexOf(prefix, all)); err != nil {
		return nil, err
	}
	common, err := subjectsOf(prefix)
	if err != nil {
		return nil, err
	}
	files["subjects.md"], err = render("subjects.md.tmpl", common)
	return files, err
}

func render(name string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, data); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	return out.Bytes(), nil
}

// index is the data of the index.
type index struct {
	Prefix            events.Prefix
	Commands, Queries int
	Pages             []page
	// Operations are all of them by name.
	Operations []entry
	// Confidences say how many operations are known how well.
	Confidences []confidence
}

type confidence struct {
	Name, Meaning string
	Count         int
}

func indexOf(prefix events.Prefix, all []page) index {
	x := index{Prefix: prefix, Pages: all, Confidences: []confidence{
		{Name: "observed", Meaning: "a public client or test proved it against the live service"},
		{Name: "documented", Meaning: "a public client derived it from the vendor's document"},
		{Name: "inferred", Meaning: "reasoned from the rest, never seen"},
	}}
	for _, p := range all {
		x.Commands, x.Queries = x.Commands+p.Commands, x.Queries+p.Queries
		x.Operations = append(x.Operations, p.Entries...)
	}
	for _, e := range x.Operations {
		for i := range x.Confidences {
			if x.Confidences[i].Name == e.Confidence {
				x.Confidences[i].Count++
			}
		}
	}
	slices.SortFunc(x.Operations, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	return x
}

// subjects is the data of the page about everything that is not about one operation.
type subjects struct {
	Prefix            events.Prefix
	Commands, Queries int
	Streams           []topology.StreamFacts
	Buckets           []topology.BucketFacts
	Envelope          []envelopeRow
	Outcomes          any
	Codes             []schemas.Code
	Actions           []factro.Action
	DeadHeaders       []topology.HeaderFact
	// Ledger is the name of the bucket, Proven and Result are JSON to show.
	Ledger, Proven, Result string
	// Reconcile is the name of the bucket of the reconciliation, Gap JSON to show.
	Reconcile, Gap string
	// Control is the name of the bucket of pauses, Notice JSON to show.
	Control, Notice string
	// Keys is the name of the bucket of external keys, MaxKey how many bytes a key has at most, Upserts what creates become.
	Keys    string
	MaxKey  int
	Upserts []upsertRow
	// Status is JSON to show, DelayedStream the name of the stream of delayed commands.
	Status, DelayedStream string
	// State is the name of the bucket of factro's objects, Changes the one of the stream of what changed.
	State, Changes string
}

type upsertRow struct{ Create, Update, Dropped, Refused string }

type envelopeRow struct{ Name, Event, Command, Result string }

// anyCloud stands for the name of a cloud; in the names of streams it is in capitals, as the name is.
const anyCloud = "<cloud>"

func subjectsOf(prefix events.Prefix) (subjects, error) {
	finished := contract.ExampleTime.Add(200 * time.Millisecond)
	result, err := ordered.Indented(events.Result{
		Operation: "createTask", Outcome: events.Applied, Status: 200, Attempts: 1, StartedAt: contract.ExampleTime, FinishedAt: &finished,
		Resource: &events.Resource{Type: "task", ID: "…", URL: contract.WebOrigin + "/…"}, Response: json.RawMessage(`{"id":"…","title":"Prüfung"}`),
		CommandDigest: "sha256:…",
	})
	if err != nil {
		return subjects{}, err
	}
	reported, err := ordered.Indented(contract.ExampleNotice(notice.Paused))
	if err != nil {
		return subjects{}, err
	}
	gap, err := ordered.Indented(contract.ExampleGap())
	if err != nil {
		return subjects{}, err
	}
	status, err := ordered.Indented(contract.ExampleStatus())
	if err != nil {
		return subjects{}, err
	}
	s := subjects{
		Status: strings.TrimSpace(string(status)), DelayedStream: topology.DelayedStream(prefix, anyCloud),
		State: change.Bucket(prefix, anyCloud), Changes: change.Stream(prefix, anyCloud),
		Reconcile: topology.ReconcileBucket(prefix), Gap: strings.TrimSpace(string(gap)),
		Control: topology.ControlBucket(prefix), Notice: strings.TrimSpace(string(reported)),
		Prefix: prefix, Streams: topology.StreamsOf(prefix, anyCloud), Buckets: topology.BucketsOf(prefix, anyCloud), Outcomes: schemas.Outcomes, Codes: schemas.Codes, Actions: factro.Actions(), DeadHeaders: topology.DeadHeaders(),
		Keys: topology.KeysBucket(prefix, anyCloud), MaxKey: attr.MaxExternalKey, Ledger: topology.LedgerBucket(prefix, anyCloud), Proven: contract.ProvenBody, Result: strings.TrimSpace(string(result)),
	}
	for _, a := range contract.Envelope {
		command := a.Use[contract.ACommand]
		if a.Required[contract.ACommand] {
			command += " (required)"
		}
		s.Envelope = append(s.Envelope, envelopeRow{a.Name, a.Use[contract.AnEvent], command, a.Use[contract.AResult]})
	}
	for _, op := range factro.Operations() {
		if u, ok := op.Upsert(); ok {
			s.Upserts = append(s.Upserts, upsertRow{op.Name, u.Update.Name, codes(u.Dropped), codes(u.Refused)})
		}
		if op.Writes() {
			s.Commands++
		} else {
			s.Queries++
		}
	}
	return s, nil
}

// codes lists names in a cell of a table.
func codes(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return "`" + strings.Join(names, "`, `") + "`"
}

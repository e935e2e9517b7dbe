package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
	"github.com/factro-bridge/factro-bridge/internal/webpage"
)

// The pages of the simulator for browsers. Programs get the same data as JSON or text.

// pageAnswer is an answer of the control API. A browser gets the page, other clients get plain as JSON or text.
type pageAnswer struct {
	plain any
	page  func(w http.ResponseWriter)
}

// listed is an object in a list.
type listed struct{ Kind, ID, Title, Link string }

var frontPage = webpage.New("Simulated factro", `<p>It simulates factro for the bridge. All data is test data, and a restart deletes it unless there is a journal.</p>
<p>The Core API is at <code>{{.Core}}</code>, the control API at <code>{{.Control}}</code>.</p>
<h2>What happened last</h2>
<table><caption>Requests to the Core API, the newest first</caption>
<tr><th scope="col">Time</th><th scope="col">Request</th><th scope="col">Operation</th><th scope="col">Status</th><th scope="col">Fault</th></tr>
{{- range .Requests}}
<tr><td>{{.Time.Format "2006-01-02 15:04:05.000Z07:00"}}</td><td>{{.Method}} {{.Path}}</td><td>{{.Operation}}</td><td>{{or .Status "cut off"}}</td><td>{{.Fault}}</td></tr>
{{- else}}
<tr><td colspan="5">none yet</td></tr>
{{- end}}
</table>
`+deliveriesTable+`
<h2>What there is</h2>
<table><caption>Objects</caption>
<tr><th scope="col">Kind</th><th scope="col">How many</th></tr>
{{- range .Kinds}}
<tr><td><a href="{{.Link}}">{{.Kind}}</a></td><td>{{.Title}}</td></tr>
{{- end}}
</table>
<h2>How to change it</h2>
<pre>{{.Help}}</pre>
`)

const deliveriesTable = `<table><caption>Webhooks that were sent, the newest first</caption>
<tr><th scope="col">Time</th><th scope="col">Action</th><th scope="col">Entity</th><th scope="col">Answer</th></tr>
{{- range .Deliveries}}
<tr><td>{{.Time.Format "2006-01-02 15:04:05.000Z07:00"}}</td><td>{{.Action}}</td><td>{{.EntityID}}</td><td>{{if .Lost}}never sent{{else}}{{or .Status .Error}}{{end}}</td></tr>
{{- else}}
<tr><td colspan="4">none yet</td></tr>
{{- end}}
</table>
`

var listPage = webpage.New("{{.Kind}}", `<p><a href="{{.Home}}">Simulated factro</a></p>
<table><caption>All objects of the kind {{.Kind}}</caption>
<tr><th scope="col">Title</th><th scope="col">Id</th></tr>
{{- range .Objects}}
<tr><td><a href="{{.Link}}">{{.Title}}</a></td><td>{{.ID}}</td></tr>
{{- else}}
<tr><td colspan="2">none</td></tr>
{{- end}}
</table>
`)

var objectPage = webpage.New("{{.Title}}", `<p><a href="{{.Home}}">Simulated factro</a>, <a href="{{.List}}">{{.Kind}}</a></p>
<table><caption>{{.Kind}} {{.ID}}</caption>
<tr><th scope="col">Property</th><th scope="col">Value</th></tr>
{{- range .Properties}}
<tr><th scope="row">{{.Name}}</th><td>{{if .Link}}<a href="{{.Link}}">{{.Title}}</a> {{end}}{{.Value}}</td></tr>
{{- end}}
</table>
<h2>What refers to it</h2>
<ul>
{{- range .Referring}}
<li>{{.Kind}}: <a href="{{.Link}}">{{.Title}}</a></li>
{{- else}}
<li>nothing</li>
{{- end}}
</ul>
<h2>Webhooks about it</h2>
`+deliveriesTable)

var missingPage = webpage.New("Not found", `<p>There is no {{.Kind}} with the id {{.ID}}. It may have been deleted, or the simulator was restarted.</p>
<p><a href="{{.Home}}">Simulated factro</a></p>
`)

// maxLogLines is how many lines of a log a page shows.
const maxLogLines = 25

const homePath = controlPath + "/"

func (s *Sim) showFront(*http.Request) (any, error) {
	help := s.help()
	return pageAnswer{help, func(w http.ResponseWriter) {
		var kindList []listed
		s.mu.Lock()
		for _, kind := range tenant.Kinds() {
			kindList = append(kindList, listed{Kind: kind, Title: fmt.Sprint(s.tenant.Count(kind)), Link: listLink(kind)})
		}
		s.mu.Unlock()
		webpage.Write(w, http.StatusOK, frontPage, map[string]any{
			"Core": corePath, "Control": controlPath, "Kinds": kindList, "Help": help,
			"Requests": newest(s.Requests()), "Deliveries": newest(s.Deliveries()),
		})
	}}, nil
}

func (s *Sim) getObjects(r *http.Request) (any, error) {
	kind := r.PathValue("kind")
	if !slices.Contains(tenant.Kinds(), kind) {
		return nil, fmt.Errorf("unknown kind %q, known are %s", kind, strings.Join(tenant.Kinds(), ", "))
	}
	objects := s.Objects(kind)
	return pageAnswer{objects, func(w http.ResponseWriter) {
		list := make([]listed, len(objects))
		for i, o := range objects {
			list[i] = s.listed(kind, o)
		}
		webpage.Write(w, http.StatusOK, listPage, map[string]any{"Kind": kind, "Home": homePath, "Objects": list})
	}}, nil
}

func (s *Sim) getObject(r *http.Request) (any, error) {
	kind, id := r.PathValue("kind"), r.PathValue("id")
	o := s.object(kind, id)
	if o == nil && !webpage.Wanted(r) {
		return nil, fmt.Errorf("there is no %s with the id %q", kind, id)
	}
	return pageAnswer{o, func(w http.ResponseWriter) { s.showObject(w, kind, id) }}, nil
}

// webLink answers a request for the address of an object in factro's web UI. It reports whether the request has such an address.
func (s *Sim) webLink(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/"+s.cfg.MandantID[:8]+"/" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	kind, id := r.FormValue("p"), r.FormValue("pi")
	if kind == "employee" {
		kind = "user"
	}
	s.showObject(w, kind, id)
	return true
}

func (s *Sim) object(kind, id string) tenant.Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tenant.Object(kind, id)
}

// property is a property of an object, for a page. If its value is the id of another object, Link and Title belong to that object.
type property struct{ Name, Value, Title, Link string }

func (s *Sim) showObject(w http.ResponseWriter, kind, id string) {
	o := s.object(kind, id)
	if o == nil {
		webpage.Write(w, http.StatusNotFound, missingPage, map[string]any{"Kind": cmp.Or(kind, "object"), "ID": id, "Home": homePath})
		return
	}
	byID, referring := s.related(id)
	var properties []property
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if strings.HasPrefix(name, "_") {
			continue
		}
		p := property{Name: name, Value: valueText(o[name])}
		if other, known := byID[o.Str(name)]; known && name != "id" {
			p.Title, p.Link = other.Title, other.Link
		}
		properties = append(properties, p)
	}
	about := slices.DeleteFunc(s.Deliveries(), func(a Attempt) bool { return a.EntityID != id })
	webpage.Write(w, http.StatusOK, objectPage, map[string]any{
		"Title": title(o), "Kind": kind, "ID": id, "Home": homePath, "List": listLink(kind), "Properties": properties, "Referring": referring,
		"Deliveries": newest(about),
	})
}

// related returns all objects by their ids, and the objects that refer to the one with this id.
func (s *Sim) related(id string) (byID map[string]listed, referring []listed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID = map[string]listed{}
	for _, kind := range tenant.Kinds() {
		for _, o := range s.tenant.Objects(kind) {
			entry := s.listed(kind, o)
			byID[o.ID()] = entry
			if o.ID() == id {
				continue
			}
			for _, value := range o {
				if value == any(id) {
					referring = append(referring, entry)
					break
				}
			}
		}
	}
	return byID, referring
}

func (s *Sim) listed(kind string, o tenant.Object) listed {
	link := factro.WebLink("", s.cfg.MandantID, kind, o.ID())
	return listed{kind, o.ID(), title(o), cmp.Or(link, listLink(kind)+"/"+url.PathEscape(o.ID()))}
}

func listLink(kind string) string { return controlPath + "/objects/" + kind }

// title is the name of an object for people.
func title(o tenant.Object) string {
	return cmp.Or(o.Str("title"), o.Str("name"), strings.TrimSpace(o.Str("firstName")+" "+o.Str("lastName")), o.Str("text"), o.ID())
}

// valueText is a value for people: text unchanged, other values as JSON.
func valueText(v any) string {
	if text, isText := v.(string); isText {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// newest returns the last entries of a log, the newest first.
func newest[T any](log []T) []T {
	log = slices.Clone(log[max(0, len(log)-maxLogLines):])
	slices.Reverse(log)
	return log
}

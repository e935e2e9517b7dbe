package bridge

import (
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/factro-bridge/factro-bridge/internal/webpage"
)

// index lists what there is below a path.
type index struct {
	Title   string
	Entries []indexEntry
}

type indexEntry struct{ Path, What string }

var indexPage = webpage.New("{{.Title}}", `<ul>
{{- range .Entries}}
<li><a href="{{.Path}}">{{.Path}}</a>: {{.What}}</li>
{{- end}}
</ul>
`)

// ServeHTTP answers a browser with a page, and others with text.
func (i index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if webpage.Wanted(r) {
		webpage.Write(w, http.StatusOK, indexPage, i)
		return
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", i.Title)
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, e := range i.Entries {
		fmt.Fprintf(t, "  %s\t%s\n", e.Path, e.What)
	}
	_ = t.Flush() // a string takes everything
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Add("Vary", "Accept")
	_, _ = fmt.Fprint(w, text.String()) // the asker may be gone
}

func adminIndex(version string) index {
	return index{"factro bridge " + version + ", for operators", []indexEntry{
		{"/readyz", "whether this process can do its work, part by part and cloud by cloud; 503 if not"},
		{"/livez", "whether this process should go on; 503 if not"},
		{"/metrics", "measurements in the form of Prometheus"},
		{"/contract/", "the subjects, messages and schemas that this bridge speaks"},
	}}
}

var contractIndex = index{"The contract of this bridge", []indexEntry{
	{"/contract/asyncapi.yaml", "all subjects, messages and schemas as an AsyncAPI document"},
	{"/contract/schemas/", "the names and ids of the JSON Schemas, as JSON"},
	{"/contract/schemas/event", "one of them: the data of events"},
	{"/contract/schemas/command.createTask", "another one: the data of a command; so for each operation that writes"},
	{"/contract/schemas/result.createTask", "the result of that command"},
	{"/contract/schemas/query.getTask", "the data of a query; so for each operation that reads"},
	{"/contract/schemas/answer.getTask", "the answer to that query"},
}}

package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/internal/bus/topology"
	"github.com/factro-bridge/factro-bridge/internal/contract/ordered"
	"github.com/factro-bridge/factro-bridge/internal/contract/schemas"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
	"github.com/factro-bridge/factro-bridge/pkg/events/fresh"
)

// Mirrored are the resources that the mirror can copy, sorted.
var Mirrored = slices.Sorted(slices.Values(factro.MirroredResources()))

// mirror describes the state of factro's objects, and their changes.
func (d *document) mirror() error {
	if d.resource != "" && !slices.Contains(Mirrored, d.resource) {
		return nil
	}
	if err := d.change(); err != nil {
		return err
	}
	d.state()
	return nil
}

func (d *document) change() error {
	s, err := changeSample(d.prefix)
	if err != nil {
		return err
	}
	d.message(schemas.ChangeName, append(ordered.Object{
		{"name", change.TypePrefix + "<resource>.<what>"},
		{"title", "Change of an object"},
		{"summary", "An object was created, updated or deleted at factro: the fields that differ, before and after."},
		{"contentType", "application/json"},
		{"headers", changeHeaders()},
		{"payload", reference(componentsPrefix + "Change")},
	}, d.exampleOfTask(s, "A task that is done")...))
	resource, names := d.about("cloud", "resource", "id", "what")
	stream := change.Stream(d.prefix, "{cloud}")
	d.channel(schemas.ChangeName, string(d.prefix)+".change.cloud."+resource+".id.what", "Changes of objects", streamOf(topology.StreamFacts{
		Name: stream, Subjects: []string{string(d.prefix) + ".change.{cloud}.>"}, Retention: "limits", Discard: "old", Storage: "file",
		Duplicates: topology.DefaultDuplicateWindow, MaxAge: 30 * 24 * time.Hour,
	}), names)
	d.operation(schemas.ChangeName, "send", ordered.Object{{"summary", "Publish what changed, before the state of the object is written."}})
	return nil
}

// state describes the entries of the bucket by their subjects, which a reader that knows no buckets sees.
func (d *document) state() {
	bucket := change.Bucket(d.prefix, "{cloud}")
	resource, names := d.about("CLOUD", "cloud", "resource", "id")
	d.message(schemas.StateName, append(ordered.Object{
		{"name", schemas.StateName},
		{"title", "State of an object"},
		{"summary", "An object as the Core API sent it, byte for byte, without the fields of mirror.drop_fields. A delete marker if it is gone."},
		{"contentType", "application/json"},
		{"headers", reference(componentsPrefix + "StateHeaders")},
		{"payload", ordered.Object{{"description", "The JSON object; nothing in a delete marker."}}},
	}, d.exampleOfTask(stateSample(d.prefix), "A task")...))
	d.channel(schemas.StateName, "$KV."+bucket+".cloud."+resource+".id", "State of objects, a key-value bucket", streamOf(topology.StreamFacts{
		Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Retention: "limits", Discard: "new", Storage: "file", Duplicates: 2 * time.Minute,
	}), names)
	d.operation(schemas.StateName, "send", ordered.Object{{"summary", "Write what factro says of an object, behind its change."}})
}

// exampleOfTask is the sample, in the documents that tasks are in.
func (d *document) exampleOfTask(s sample, title string) ordered.Object {
	if d.resource != "" && d.resource != exampleResource {
		return nil
	}
	return ordered.Object{{"examples", ordered.List{s.example(title)}}}
}

// changeAttributes are the attributes and headers of a change, for all documents.
var changeAttributes = []struct {
	Name     string
	Required bool
	Doc      string
}{
	{"ce-specversion", true, "`1.0`"},
	{"ce-id", true, "`<cloud>.<resource>.<id>.<revision>.<digest>`: the revision of the state that it replaces, 0 for none, and 16 hex digits of a digest of the new object, or `deleted`"},
	{"ce-source", true, "as that of the events of the cloud"},
	{"ce-type", true, "`" + change.TypePrefix + "<resource>.<what>`"},
	{"ce-subject", true, "the id of the object"},
	{"ce-time", true, "when the bridge read the object"},
	{"ce-datacontenttype", true, "`application/json`"},
	{"ce-" + attr.CausationID, false, fmt.Sprintf("the ids of the events that led to it, separated by blanks, at most %d; absent if no event announced it", change.MostCauses)},
	{"ce-" + attr.Origin, false, "`verify` if no event announced it, else absent"},
	{"ce-" + attr.Cause, false, "the id of the command that made the change; absent if none is known"},
	{"ce-" + attr.Sender, false, "the source of that command"},
	{"ce-" + attr.Certainty, false, "`exact` or `likely`: how certain it is that the command made the change"},
	{change.HeaderStateFrom, true, "the revision of the state that it replaces, 0 for none"},
	{change.HeaderWhole, false, "`true` if `before` and `after` have all fields"},
	{events.HeaderMessageID, true, "JetStream's own, to recognise a repetition: the id"},
}

// ChangeAttributes are the names of the attributes and headers of a change with what they say, in Markdown.
func ChangeAttributes() (rows [][2]string) {
	for _, a := range changeAttributes {
		rows = append(rows, [2]string{a.Name, a.Doc})
	}
	return rows
}

func changeHeaders() ordered.Object {
	rules := map[string]ordered.Object{
		"ce-specversion":       {{"const", "1.0"}},
		"ce-time":              {{"format", "date-time"}},
		"ce-" + attr.Origin:    {{"enum", ordered.List{change.OriginVerify}}},
		"ce-" + attr.Certainty: {{"enum", ordered.List{change.Exact, change.Likely}}},
		change.HeaderStateFrom: {{"pattern", "^[0-9]+$"}},
		change.HeaderWhole:     {{"enum", ordered.List{"true"}}},
		"ce-type":              {{"pattern", "^" + strings.ReplaceAll(change.TypePrefix, ".", `\.`) + `[a-z-]+\.(created|updated|deleted)$`}},
	}
	properties, required := ordered.Object{}, ordered.List{}
	for _, a := range changeAttributes {
		properties = append(properties, ordered.Member{a.Name, append(ordered.Object{{"type", "string"}, {"description", sentence(a.Doc)}}, rules[a.Name]...)})
		if a.Required {
			required = append(required, a.Name)
		}
	}
	return ordered.Object{{"type", "object"}, {"description", encoding}, {"required", required}, {"properties", properties}}
}

// exampleRevision is that of the state that the example's change replaces.
const exampleRevision = 17

// ExampleChange is the data of a change to show.
const ExampleChange = `{"before":{"taskState":"inProgress"},"after":{"taskState":"done"},"changed":["taskState"]}`

func changeSample(p events.Prefix) (sample, error) {
	e := event.New()
	e.SetID(change.Key(ExampleCloud, exampleResource, exampleEntityID) + "." + strconv.Itoa(exampleRevision) + ".5f2b1c9a7e03d486")
	e.SetSource("urn:factro:cloud:" + ExampleCloud)
	e.SetType(change.TypePrefix + exampleResource + "." + change.Updated)
	e.SetSubject(exampleEntityID)
	e.SetTime(ExampleTime)
	e.SetDataContentType(event.ApplicationJSON)
	e.DataEncoded = []byte(ExampleChange)
	e.SetExtension(attr.CausationID, exampleEventID)
	e.SetExtension(attr.Cause, exampleCommandID)
	e.SetExtension(attr.Sender, exampleSource)
	e.SetExtension(attr.Certainty, change.Exact)
	s, err := sampleOf(change.Subject(p, ExampleCloud, exampleResource, exampleEntityID, change.Updated), e)
	if err != nil {
		return s, err
	}
	s.headers[change.HeaderStateFrom] = strconv.Itoa(exampleRevision)
	s.headers[events.HeaderMessageID] = e.ID()
	return s, nil
}

func stateSample(p events.Prefix) sample {
	return sample{
		subject: "$KV." + change.Bucket(p, ExampleCloud) + "." + change.Key(ExampleCloud, exampleResource, exampleEntityID),
		headers: map[string]string{
			change.HeaderReadAt: ExampleTime.Format(time.RFC3339), change.HeaderOrigin: change.OriginEvent, change.HeaderCause: exampleEventID,
			change.HeaderChange: "42",
		},
		payload: []byte(`{"id":"` + exampleEntityID + `","title":"Prüfung","taskState":"done"}`),
	}
}

// readsMirrored says whether the mirror may answer a query of an operation.
func readsMirrored(op factro.Operation) bool {
	return op.Mirror != nil && op.Answer == factro.AnswerObject
}

func maxAgeHeaders() ordered.Object {
	return ordered.Object{{"type", "object"}, {"properties", ordered.Object{{fresh.HeaderMaxAge, ordered.Object{
		{"type", "string"}, {"description", "How old the answer may be, as a Go duration such as 30s: then the mirror may answer. Without it factro is asked."},
	}}}}}
}

func ageHeaders() ordered.Object {
	return ordered.Object{{"type", "object"}, {"properties", ordered.Object{{fresh.HeaderAge, ordered.Object{
		{"type", "string"}, {"pattern", `^[0-9]+\.[0-9]+$`}, {"description", "Only of an answer of the mirror: how many seconds ago the bridge began to read the object."},
	}}}}}
}

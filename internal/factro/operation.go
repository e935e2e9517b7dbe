package factro

import (
	"net/http"
	"slices"
)

// Operation is one operation of the Core API, as openapi.yaml describes it.
type Operation struct {
	// Name is the operationId, such as createTask. It is the last token of a command's subject.
	Name string
	// Resource is factro's resource in the singular, such as task or work-record. It stands before the operation in a
	// command's subject.
	Resource string
	// Method is the HTTP method: GET, POST, PUT or DELETE.
	Method string
	// Path is the path below the API's base URL, with its parameters in braces.
	Path string
	// Summary is one sentence for people; Remarks, often empty, are what one should know beside it.
	Summary, Remarks string
	// Params are the path parameters in the order of the path, then the query parameters.
	Params []Param
	// Body says how the request's body is built from the command's data.
	Body Body
	// BodySchema names the component schema of the body, or of the body's elements if Body is BodyList. It is empty if
	// Body is BodyNone.
	BodySchema string
	// Answer says what a good answer carries.
	Answer Answer
	// AnswerSchema names the component schema of the answer, or of its elements. It is empty for AnswerVoid.
	AnswerSchema string
	// Batch says whether a list takes effect as a whole. It is empty for operations on one object.
	Batch Batch
	// Confidence says how well the operation is known: observed, documented or inferred.
	Confidence string
	// Search says how to find out whether a create has happened that was left without an answer. It is nil for operations
	// that create nothing, and not to be changed.
	Search *Search
	// Lane is the property of the data that names what a command changes: those that change the same thing are carried out in
	// their order. It is empty for what makes something new, or changes several things.
	Lane string
	// Batched is how several commands of this operation can be carried out by one call. It is nil if they cannot, and not to be
	// changed.
	Batched *Batched
	// Mirror is how the objects that a query shows are copied. It is nil if they are not, or if another query's says it, and not to
	// be changed.
	Mirror *Mirror
	// Sets are the fields of the object that the operation sets under another name than that of a property of its body. It is nil if
	// there are none, and not to be changed.
	Sets *Sets
	// Fields are the properties of the command's data: parameters first, then the body's properties, sorted by name.
	Fields []Field
}

// Batched says which operation does the same for a list. It takes effect as a whole or not at all.
type Batched struct {
	// By is its name. What both have as a parameter of the path has to be the same for all elements.
	By string
	// Names are the parameters that are properties of an element there.
	Names []BatchName
}

// BatchName is the property of the command's data that holds a parameter, and the property of an element that takes its place.
type BatchName struct{ Field, Element string }

// Param is a parameter of an operation's path or query.
type Param struct {
	// Name is the parameter's name in openapi.yaml.
	Name string
	// Field is the property of the command's data that holds the value. It equals Name, unless the body has a property
	// of the same name: then the path's is called from…, as in fromProjectId.
	Field string
	// Query is true for a query parameter, which is optional; path parameters are required.
	Query bool
}

// Field is one property of a command's data.
type Field struct {
	Name string
	// Type is the JSON type: string, number, integer, boolean, object or array; empty if any type is allowed.
	Type string
	// Format is the schema's format or pattern, such as uuid or date-time; mostly empty.
	Format string
	// Required properties must be there; Nullable ones may be null, which is not the same as being absent.
	Required, Nullable bool
	// Enum are the values known of a string. factro may know more.
	Enum []string
	// Doc is one line for people, mostly empty.
	Doc string
}

// Body is the shape of a request's body.
type Body string

const (
	BodyNone      Body = ""          // no body
	BodyObject    Body = "object"    // the data's properties that are not parameters
	BodyList      Body = "list"      // the array under the data's property items
	BodyMultipart Body = "multipart" // one part named file, from the data's property file
)

// Answer is the shape of a good answer.
type Answer string

const (
	AnswerVoid   Answer = ""       // nothing that is promised; the body is to be ignored
	AnswerObject Answer = "object" // one JSON object
	AnswerList   Answer = "list"   // a JSON array
)

// Batch is how a list operation treats a list with a bad element.
type Batch string

const (
	BatchNone    Batch = ""
	BatchPartial Batch = "partial"                // the good elements take effect
	BatchAtomic  Batch = "atomic"                 // all or nothing
	BatchUnknown Batch = "unknown-assume-partial" // not known; to be treated as partial
)

// Operations returns the table, in the order of openapi.yaml. The slice is the caller's.
func Operations() []Operation { return slices.Clone(operations) }

// Lookup finds an operation by its name.
func Lookup(name string) (Operation, bool) {
	i, ok := byName[name]
	if !ok {
		return Operation{}, false
	}
	return operations[i], true
}

var byName = func() map[string]int {
	m := make(map[string]int, len(operations))
	for i, o := range operations {
		m[o.Name] = i
	}
	return m
}()

// Writes reports whether the operation changes something at factro. Such an operation is a command, the others are
// queries.
func (o Operation) Writes() bool { return o.Method != http.MethodGet }

// Creates reports whether doing the operation twice is more than doing it once. factro has no idempotency key, equal
// creates make two objects (observed), and shifting or applying a template accumulates; all these are POST.
func (o Operation) Creates() bool { return o.Method == http.MethodPost }

// Searchable reports whether factro offers a way to look for what the operation has made.
func (o Operation) Searchable() bool { return o.Search != nil && o.Search.List != "" }

// ShowsSecrets reports whether answers to the operation hold secrets in clear text: factro's stored payloads come with
// the webhook, and that with the value of its authentication header (documented).
func (o Operation) ShowsSecrets() bool { return o.AnswerSchema == "WebhookPayload" }

package factro

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

// AnswerProperties are the names of what an object in a good answer holds, as openapi.yaml tells them. They are empty if
// it tells none.
func (o Operation) AnswerProperties() []string { return answerProperties()[o.AnswerSchema] }

// AnswerHasID reports whether the objects in a good answer have an id.
func (o Operation) AnswerHasID() bool { return slices.Contains(o.AnswerProperties(), "id") }

var answerProperties = sync.OnceValue(func() map[string][]string {
	var doc struct {
		Defs map[string]struct {
			Properties map[string]json.RawMessage `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schemas, &doc); err != nil {
		panic("factro: schemas_gen.json: " + err.Error())
	}
	out := map[string][]string{}
	for name, schema := range doc.Defs {
		out[name] = slices.Sorted(maps.Keys(schema.Properties))
	}
	return out
})

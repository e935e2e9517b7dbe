package events

import (
	"encoding/json"
	"testing"
)

// keyed is a payload with the places in which an external key can stand.
type keyed struct {
	TaskID string            `json:"taskId"`
	Items  []map[string]any  `json:"items,omitempty"`
	Text   string            `json:"text,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
}

func (keyed) Operation() Operation { return Operation{Name: "updateTask", Resource: "task"} }

// TestByExternalKey: an external key in the place of an id becomes the object that the bridge reads; other text stays as it is.
func TestByExternalKey(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]keyed{
		`{"taskId":{"externalkey":"JIRA-17"}}`:                                     {TaskID: ByExternalKey("JIRA-17")},
		`{"taskId":{"externalkey":"Ä \"quoted\\\" \u0000"}}`:                       {TaskID: ByExternalKey("Ä \"quoted\\\" \x00")},
		`{"taskId":{"externalkey":""}}`:                                            {TaskID: ByExternalKey("")},
		`{"taskId":"t-1","items":[{"id":{"externalkey":"k"}}]}`:                    {TaskID: "t-1", Items: []map[string]any{{"id": ByExternalKey("k")}}},
		`{"taskId":"t-1","text":"\\\"\u0000externalkey:no","fields":{"a\"":"\\"}}`: {TaskID: "t-1", Text: "\\\"\x00externalkey:no", Fields: map[string]string{"a\"": "\\"}},
		`{"taskId":"t-1"}`: {TaskID: "t-1"},
	} {
		got, err := payloadData(p)
		if err != nil || string(got) != want || !json.Valid(got) {
			t.Errorf("the data is %s, want %s: %v", got, want, err)
		}
	}
}

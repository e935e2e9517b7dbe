package payload_test

import (
	"encoding/json"
	"fmt"

	"github.com/factro-bridge/factro-bridge/pkg/events/payload"
)

// In a change, absent and null differ: the one keeps a value, the other clears it.
func ExampleOptional() {
	for _, change := range []payload.UpdateTask{
		{TaskID: "8d3f6c1e", Title: payload.Set("Prüfung")},
		{TaskID: "8d3f6c1e", ExecutorID: payload.Null[string]()},
	} {
		data, err := json.Marshal(change)
		fmt.Println(string(data), err, change.ExecutorID)
	}
	// Output:
	// {"taskId":"8d3f6c1e","title":"Prüfung"} <nil> absent
	// {"taskId":"8d3f6c1e","executorId":null} <nil> null
}

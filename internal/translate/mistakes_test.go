package translate_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

func mistakesOf(t testing.TB, operation, data string) []events.FieldError {
	t.Helper()
	call, err := translate.Command(lookup(t, operation), []byte(data))
	var invalid *translate.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("%s %s: got %+v, %v, want an InvalidError", operation, data, call, err)
	}
	if call.Method != "" || call.Target != "" || call.Body != nil {
		t.Errorf("%s: an error and a call %+v", operation, call)
	}
	return invalid.Fields
}

// TestCommandMistakes: every mistake is reported, with the pointer to the value, or to the object if a property is missing.
func TestCommandMistakes(t *testing.T) {
	t.Parallel()
	const (
		surplus = " has no place for this property in its request"
		marks   = "; want letters, digits and -._~:+@,="
		endless = "a number that is too long, want at most 100 characters and an exponent up to 400"
		choice  = "/file: want exactly one of the properties data and object"
	)
	for name, tt := range map[string]struct {
		operation, data string
		want            []string // "pointer: message"
	}{
		"nothing":         {"deleteTask", ``, []string{": not JSON: EOF"}},
		"not JSON":        {"deleteTask", `{"taskId":`, []string{": not JSON: unexpected EOF"}},
		"two objects":     {"deleteTask", `{"taskId":"a"}{}`, []string{": not JSON: invalid character after top-level value"}},
		"a list":          {"deleteTask", `["t"]`, []string{": got array, want object"}},
		"null":            {"deleteTask", `null`, []string{": got null, want object"}},
		"missing in path": {"deleteTask", `{}`, []string{`: property "taskId" is missing and required`}},
		"other case":      {"updateTask", `{"taskid":"t"}`, []string{`: property "taskId" is missing and required`}},
		"missing":         {"createTask", `{}`, []string{`: property "targetParentId" is missing and required`, `: property "title" is missing and required`}},
		"wrong type":      {"updateTask", `{"taskId":"t","title":5}`, []string{"/title: got number, want string"}},
		"text for a bool": {"updateTask", `{"taskId":"t","isMilestone":"true"}`, []string{"/isMilestone: got string, want boolean"}},
		"wrong path type": {"deleteTask", `{"taskId":5}`, []string{"/taskId: got number, want string"}},
		"object in path":  {"deleteTask", `{"taskId":{"a":"/"}}`, []string{"/taskId: got object, want string"}},
		"null in path":    {"deleteTask", `{"taskId":null}`, []string{"/taskId: got null, want string"}},
		"empty in path":   {"deleteTask", `{"taskId":""}`, []string{"/taskId: minLength: got 0, want 1"}},
		"wrong number":    {"setCustomViewPosition", `{"referenceId":"r","customViewId":"c","position":true}`, []string{"/position: got boolean, want integer or string"}},
		"wrong enum":      {"setTaskState", `{"taskId":"t","state":"done"}`, []string{"/state: value must be one of 'planned', 'inProcess', 'review', 'closed', 'pushedBack', 'stopped'"}},
		"wrong number enum": {
			"updateTask", `{"taskId":"t","taskPriority":100}`,
			[]string{"/taskPriority: value must be one of 10, 20, 30, 40, 50, 60, 70, 80, 90, 99"},
		},
		"not nullable": {"updateTask", `{"taskId":"t","officerId":null}`, []string{"/officerId: got null, want string"}},
		"pattern": {
			"updateWorkRecord", `{"workRecordId":"w","startTime":"nine"}`,
			[]string{`/startTime: 'nine' does not match pattern '^\\d{2}:\\d{2}(:\\d{2})?$'`},
		},
		"nested":             {"updateTask", `{"taskId":"t","customFields":[]}`, []string{"/customFields: got array, want object"}},
		"in items":           {"updateTasks", `{"items":[{"id":"1"},{"title":5},7]}`, []string{`/items/1/title: got number, want string`, `/items/1: property "id" is missing and required`, `/items/2: got number, want object`}},
		"no items":           {"updateTasks", `{"items":[]}`, []string{"/items: minItems: got 0, want 1"}},
		"items no list":      {"updateTasks", `{"items":{"id":"1"}}`, []string{"/items: got object, want array"}},
		"beside items":       {"updateTasks", `{"items":[{"id":"1"}],"title":"t"}`, []string{"/title: updateTasks" + surplus}},
		"surplus, no body":   {"deleteTask", `{"taskId":"t","b":1,"a/~":null}`, []string{"/a~1~0: deleteTask" + surplus, "/b: deleteTask" + surplus}},
		"dots in a path":     {"deleteTask", `{"taskId":".."}`, []string{`/taskId: ".." is a path, want an id`}},
		"a dot":              {"deleteTask", `{"taskId":"."}`, []string{`/taskId: "." is a path, want an id`}},
		"a slash":            {"deleteTask", `{"taskId":"t/package"}`, []string{`/taskId: "t/package" is a path, want an id`}},
		"a name beside ids":  {"updateTask", `{"taskId":"tasks","title":"t"}`, []string{`/taskId: "tasks" would lead to the operation updateTasks, want an id`}},
		"only a slash":       {"deleteTaskTag", `{"tagId":"/"}`, []string{`/tagId: "/" is a path, want an id`}},
		"a slash behind":     {"deleteTask", `{"taskId":"t\\package/"}`, []string{`/taskId: "t\\package/" is a path, want an id`}},
		"a way out":          {"deleteTask", `{"taskId":"x/../../projects/p"}`, []string{`/taskId: "x/../../projects/p" is a path, want an id`}},
		"a backslash":        {"deleteTask", `{"taskId":"..\\x"}`, []string{`/taskId: "..\\x" is a path, want an id`}},
		"escaped slash":      {"deleteTask", `{"taskId":"t\u002fpackage"}`, []string{`/taskId: "t/package" is a path, want an id`}},
		"a name in capitals": {"updateTask", `{"taskId":"Tasks","title":"t"}`, []string{`/taskId: "Tasks" would lead to the operation updateTasks, want an id`}},
		"a name with a form": {"updateTask", `{"taskId":"tasks.json","title":"t"}`, []string{`/taskId: "tasks.json" would lead to the operation updateTasks, want an id`}},
		"three dots":         {"deleteTask", `{"taskId":"..."}`, []string{`/taskId: "..." is a path, want an id`}},
		"a query":            {"deleteTask", `{"taskId":"a?b"}`, []string{`/taskId: "a?b" is not an id because of the character '?'` + marks}},
		"escaped dots":       {"deleteTask", `{"taskId":"%2e%2e"}`, []string{`/taskId: "%2e%2e" is not an id because of the character '%'` + marks}},
		"a line end":         {"deleteTask", `{"taskId":"a\r\nHost: x"}`, []string{`/taskId: "a\r\nHost: x" is not an id because of the character '\r'` + marks}},
		"NUL":                {"deleteTask", `{"taskId":"\u0000"}`, []string{`/taskId: "\x00" is not an id because of the character '\x00'` + marks}},
		"an umlaut":          {"deleteTask", `{"taskId":"Grün"}`, []string{`/taskId: "Grün" is not an id because of the character 'ü'` + marks}},
		"before the letters": {"removeTagFromTask", `{"taskId":"\u0060","tagId":"["}`, []string{"/taskId: \"`\" is not an id because of the character '`'" + marks, `/tagId: "[" is not an id because of the character '['` + marks}},
		"behind the letters": {"deleteTask", `{"taskId":"a{"}`, []string{`/taskId: "a{" is not an id because of the character '{'` + marks}},
		"braces":             {"removeTagFromTask", `{"taskId":"{tagId}","tagId":"g"}`, []string{`/taskId: "{tagId}" is not an id because of the character '{'` + marks}},
		"a path as a name": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"../../etc/passwd","data":""}}`,
			[]string{`/file/name: "../../etc/passwd" is a path, want the name of a file without its folder`},
		},
		"a backslash in a name": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a\\b","data":""}}`,
			[]string{`/file/name: "a\\b" is a path, want the name of a file without its folder`},
		},
		"two dots as a name": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"..","object":{"bucket":"b","name":"n","link":1}}}`,
			[]string{`/file/name: ".." is a path, want the name of a file without its folder`, "/file/object/link: createTaskDocument" + surplus},
		},
		"a line end in a name": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a\r\nX-Evil: 1","data":""}}`,
			[]string{`/file/name: "a\r\nX-Evil: 1" has a control character, want the name of a file`},
		},
		"NUL in a name": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a.pdf\u0000.exe","data":""}}`,
			[]string{`/file/name: "a.pdf\x00.exe" has a control character, want the name of a file`},
		},
		"a long name": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"` + strings.Repeat("ä", 256) + `","data":""}}`,
			[]string{"/file/name: a name of 256 characters, want at most 255"},
		},
		"a line end in a type": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","contentType":"a/b\r\nX-Evil: 1","data":""}}`,
			[]string{`/file/contentType: "a/b\r\nX-Evil: 1" has other characters than a header may have, want a content type such as application/pdf`},
		},
		"DEL in a type": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","contentType":"a/b\u007f","data":""}}`,
			[]string{`/file/contentType: "a/b\x7f" has other characters than a header may have, want a content type such as application/pdf`},
		},
		"a long type": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","contentType":"` + strings.Repeat("a", 256) + `","data":""}}`,
			[]string{"/file/contentType: a content type of 256 bytes, want at most 255"},
		},
		"a long id":         {"deleteTask", `{"taskId":"` + strings.Repeat("x", 1025) + `"}`, []string{"/taskId: an id of 1025 bytes, want at most 1024"}},
		"no file":           {"createTaskDocument", `{"taskId":"t"}`, []string{`: property "file" is missing and required`}},
		"file a string":     {"createTaskDocument", `{"taskId":"t","file":"aGFsbG8="}`, []string{"/file: got string, want object"}},
		"file without name": {"createTaskDocument", `{"taskId":"t","file":{"data":"","Name":"x"}}`, []string{`/file: property "name" is missing and required`}},
		"file in other case": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","data":"","DATA":5}}`,
			[]string{"/file/DATA: createTaskDocument" + surplus},
		},
		"a path beside a good file": {
			"createTaskDocument", `{"taskId":"../x","file":{"name":"a","data":""}}`,
			[]string{`/taskId: "../x" is a path, want an id`},
		},
		"a path beside a bad file": {
			"createTaskDocument", `{"taskId":"..","file":{"name":"a","data":"!","x":1}}`,
			[]string{`/taskId: ".." is a path, want an id`, "/file/x: createTaskDocument" + surplus, "/file/data: a string that is not base64: its last four characters are not"},
		},
		"not base64": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","data":"no!!"}}`,
			[]string{"/file/data: a string that is not base64: illegal base64 data at input byte 2"},
		},
		"no content": {"createTaskDocument", `{"taskId":"t","file":{"name":"a"}}`, []string{choice}},
		"two contents": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","data":"","object":{"bucket":"b","name":"n"}}}`, []string{choice},
		},
		"half a reference": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","object":{"bucket":""}}}`,
			[]string{`/file/object: property "name" is missing and required`, "/file/object/bucket: minLength: got 0, want 1"},
		},
		"beside a reference": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","object":{"bucket":"b","name":"n","link":1}}}`,
			[]string{"/file/object/link: createTaskDocument" + surplus},
		},
		"base64 cut off": {
			"createTaskDocument", `{"taskId":"t","file":{"name":"a","data":"aGFsbG"}}`,
			[]string{"/file/data: a string that is not base64: its last four characters are not"},
		},
		"beside file": {"createTaskDocument", `{"taskId":"t","name":"n","file":{"name":"a","data":""}}`, []string{"/name: createTaskDocument" + surplus}},
		"collision":   {"movePackageToProject", `{"packageId":"k","projectId":"b"}`, []string{`: property "fromProjectId" is missing and required`}},
		"endless numbers": {"updateTask", `{"taskId":"t","taskPriority":1e401,"x":[{"a/b":-1E-401}],"y":` + strings.Repeat("7", 101) + `}`, []string{
			"/taskPriority: " + endless, "/x/0/a~1b: " + endless, "/y: " + endless,
		}},
		"an exponent beyond all": {"updateTask", `{"taskId":"t","x":1e99999999999999999999}`, []string{"/x: " + endless}},
		"all at once": {"updateTask", `{"taskId":"..","title":null,"isMilestone":0,"taskPriority":100}`, []string{
			"/isMilestone: got number, want boolean",
			`/taskId: ".." is a path, want an id`,
			"/taskPriority: value must be one of 10, 20, 30, 40, 50, 60, 70, 80, 90, 99",
			"/title: got null, want string",
		}},
		"all at once, no body": {"removeTagFromTask", `{"tagId":"../b","x":1}`, []string{
			`: property "taskId" is missing and required`, `/tagId: "../b" is a path, want an id`, "/x: removeTagFromTask" + surplus,
		}},
		"all at once, file": {"createTaskDocument", `{"file":{"name":""},"x":1}`, []string{
			`: property "taskId" is missing and required`, choice,
			"/file/name: minLength: got 0, want 1", "/x: createTaskDocument" + surplus,
		}},
	} {
		var got []string
		for _, m := range mistakesOf(t, tt.operation, tt.data) {
			got = append(got, m.Pointer+": "+m.Message)
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s\n got %q\nwant %q", name, got, tt.want)
		}
	}
}

// TestCommandMistakesAreBounded: a result has to fit into a message, whatever was sent.
func TestCommandMistakesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 100_000)
	items := strings.Repeat(`{},`, 10_000) + `{}`
	for name, data := range map[string]string{
		"a long id":        `{"taskId":"/` + long + `"}`,
		"a long name":      `{"taskId":"t","` + long + `":1}`,
		"many properties":  `{"taskId":"t"` + manyProperties(10_000) + `}`,
		"a long name path": `{"` + strings.Repeat("/", 100_000) + `":1}`,
	} {
		checkBounds(t, name, mistakesOf(t, "deleteTask", data))
	}
	checkBounds(t, "many items", mistakesOf(t, "updateTasks", `{"items":[`+items+`]}`))
	// These would take the validator hours.
	checkBounds(t, "endless numbers", mistakesOf(t, "updateTasks", `{"items":[`+strings.Repeat(`{"id":"1","taskPriority":1e999999},`, 10_000)+`1]}`))
	if n := len(mistakesOf(t, "updateTasks", `{"items":[`+strings.Repeat(`1e999,`, 60)+`1]}`)); n != 51 {
		t.Errorf("60 endless numbers: %d mistakes, want 50 and that there are more", n)
	}
	checkBounds(t, "endless, deep", mistakesOf(t, "updateTask", `{"taskId":"t","x":`+strings.Repeat(`[`, 9000)+
		strings.Repeat("1e999999,", 10_000)+"1"+strings.Repeat("]", 9000)+`}`))
	checkBounds(t, "a long value", mistakesOf(t, "updateWorkRecord", `{"workRecordId":"w","startTime":"`+long+`"}`))
}

// TestCommandMistakesAtTheLimits: 50 mistakes, and 300 bytes of each, are reported whole, and how many were left out.
func TestCommandMistakesAtTheLimits(t *testing.T) {
	t.Parallel()
	for n, last := range map[int]string{50: "deleteTask has no place for this property in its request", 51: "there is 1 more mistake", 52: "there are 2 more mistakes"} {
		if got := mistakesOf(t, "deleteTask", `{"taskId":"t"`+manyProperties(n)+`}`); len(got) != min(n, 51) || got[len(got)-1].Message != last {
			t.Errorf("of %d mistakes %d are reported, the last is %+v", n, len(got), got[len(got)-1])
		}
	}
	name := strings.Repeat("n", 299)
	for _, tt := range []struct{ operation, name, value, want string }{
		{"deleteTask", name, `1`, "/" + name},
		{"deleteTask", name + "n", `1`, "/" + name + "…"},
		{"updateTask", name, `1e999`, "/" + name},
		{"updateTask", name, `{"a":1e999}`, "/" + name + "…"},
		{"updateTask", name + "n", `{"a":[1e999]}`, "/" + name + "…"},
		{"updateTask", name[1:] + "ü", `{"a":[1e999]}`, "/" + name[1:] + "…"},
	} {
		got := mistakesOf(t, tt.operation, `{"taskId":"t","`+tt.name+`":`+tt.value+`}`)
		if len(got) != 1 || got[0].Pointer != tt.want {
			t.Errorf("%s with %s in %s:\n got %+v\nwant %s", tt.operation, tt.value, tt.name, got, tt.want)
		}
	}
}

var moreMistakes = regexp.MustCompile(`^there (is 1 more mistake|are \d+ more mistakes)$`)

func checkBounds(t testing.TB, name string, mistakes []events.FieldError) {
	t.Helper()
	if size := len(jsonOf(t, mistakes)); size > 64<<10 {
		t.Errorf("%s: mistakes of %d bytes", name, size)
	}
	if n := len(mistakes); n > 51 || n == 51 && !moreMistakes.MatchString(mistakes[50].Message) {
		t.Errorf("%s: %d mistakes, the last is %+v", name, n, mistakes[n-1])
	}
}

func manyProperties(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"p%d":1`, i)
	}
	return b.String()
}

func TestInvalidErrorText(t *testing.T) {
	t.Parallel()
	err := &translate.InvalidError{Fields: []events.FieldError{{Message: "one"}, {Pointer: "/a", Message: "two"}}}
	if got, want := err.Error(), "the data is invalid: one; /a: two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

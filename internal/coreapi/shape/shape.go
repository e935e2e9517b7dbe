package shape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Error says that an answer with a status of success is not in the form of its operation: it is not the API that has
// answered, or the answer is not whole. Nobody can tell then the outcome of the call.
type Error struct{ what string }

// Malformed is an error of this kind: what the answer is instead.
func Malformed(what string) *Error { return &Error{what} }

func (e *Error) Error() string { return e.what }

// What an answer can be instead of what its operation promises.
var (
	ErrPage    = &Error{"an HTML page"}
	ErrNoBody  = &Error{"no body"}
	ErrNotJSON = &Error{"something that is not JSON"}
	errShort   = &Error{"JSON that ends too early"}
	errTooDeep = &Error{fmt.Sprintf("JSON of more than %d levels", maxDepth)}
	errNoID    = &Error{"JSON without an id of what was made"}
	errFailure = &Error{"an error"}
)

// maxDepth bounds how deeply an answer may be nested; each level costs memory.
const maxDepth = 1000

// CheckKind says what is wrong with an answer before its body is looked at.
func CheckKind(status int, h http.Header) error {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	switch {
	case kind == "text/html", kind == "application/xhtml+xml":
		return ErrPage
	case status == http.StatusPartialContent:
		return &Error{"a part of an answer"}
	case !slices.Contains([]string{"", "identity"}, strings.ToLower(h.Get("Content-Encoding"))): // what the transport has asked for, it has decoded
		return &Error{"an encoding that was not asked for"}
	}
	return nil
}

// Check reads an answer to its end and says what is wrong with its form. It holds one text of it at a time. An error
// that is no formError is that of the reader.
func Check(op factro.Operation, body io.Reader) error {
	if op.Answer == factro.AnswerVoid {
		return checkVoid(body)
	}
	limited := &allowance{r: body, left: MaxRecord}
	d := json.NewDecoder(limited)
	d.UseNumber()
	f := shape{d: d, limited: limited, op: op}
	t, err := d.Token()
	switch {
	case err == io.EOF, err == nil && t == nil: //nolint:errorlint // exactly this is an empty body; and null is nothing, too
		if op.Writes() && !op.Creates() {
			return nil // the status speaks for itself, and doing it again would change nothing
		}
		return ErrNoBody
	case err != nil:
		return jsonError(err)
	case op.Answer == factro.AnswerList && t == json.Delim('['):
		err = f.list()
	case op.Answer == factro.AnswerObject && t == json.Delim('{'):
		err = f.object(op.Creates() && op.AnswerHasID())
	default:
		err = &Error{"JSON that is no " + string(op.Answer)}
	}
	if err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return ErrNotJSON
	}
	return nil
}

// CheckWhole checks an answer that is held.
func CheckWhole(op factro.Operation, body []byte) error {
	if fits(op, body) {
		return nil
	}
	return Check(op, bytes.NewReader(body))
}

// maxFit bounds the answers that are looked at as a whole first.
const maxFit = 64 << 10

// fits says whether an answer is a small object as its operation promises, which costs a third of taking it apart. If not, Check finds out
// what the answer is.
func fits(op factro.Operation, body []byte) bool {
	if op.Answer != factro.AnswerObject || len(body) > maxFit || bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) > maxDepth || !json.Valid(body) {
		return false
	}
	known := op.AnswerProperties()
	wantID := op.Creates() && op.AnswerHasID()
	has, failed := false, false
	gjson.ParseBytes(body).ForEach(func(key, value gjson.Result) bool {
		failed = failed || slices.Contains(failures, key.Str)
		if wantID {
			has = has || key.Str == "id" && (value.Type == gjson.Number || value.Type == gjson.String && value.Str != "")
		} else {
			has = has || value.Type != gjson.Null && slices.Contains(known, key.Str)
		}
		return !failed
	})
	return has && !failed
}

// checkVoid checks an answer that promises nothing: whatever it holds is right, but for a page and an error.
func checkVoid(body io.Reader) error {
	text, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	switch firstOf(text) {
	case '<':
		return ErrPage
	case '{':
		if json.Unmarshal(text, &fields) != nil {
			return errShort
		}
	case '[':
		if !json.Valid(text) {
			return errShort
		}
	}
	for _, name := range failures {
		if value := string(fields[name]); !slices.Contains([]string{"", "null", "false", `""`, "[]", "{}"}, value) {
			return errFailure
		}
	}
	return nil
}

// firstOf is the first byte of a text that is no blank.
func firstOf(text []byte) byte {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return 0
	}
	return text[0]
}

// failures are the properties by which an object tells that it is an error.
var failures = []string{"error", "errors"}

// shape reads the parts of an answer.
type shape struct {
	d       *json.Decoder
	limited *allowance
	op      factro.Operation
}

func (f *shape) token() (json.Token, error) {
	f.limited.left = MaxRecord
	t, err := f.d.Token()
	return t, jsonError(err)
}

// jsonError tells what is wrong with JSON from what is wrong with its source.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return ErrNotJSON
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errShort
	}
	return err
}

// list reads the elements of a list. What a create has made has ids: all of it if the list is made as a whole, else some.
func (f *shape) list() error {
	creates, made := f.op.Creates() && f.op.AnswerHasID(), 0
	for f.d.More() {
		t, err := f.token()
		if err != nil {
			return err
		}
		if t != json.Delim('{') || !creates {
			if _, err := f.rest(t); err != nil {
				return err
			}
			continue
		}
		switch err := f.object(true); {
		case err == nil:
			made++
		case f.op.Batch == factro.BatchAtomic, !errors.Is(err, errNoID) && !errors.Is(err, errFailure):
			return err
		}
	}
	if _, err := f.token(); err != nil {
		return err
	}
	if creates && made == 0 {
		return errNoID
	}
	return nil
}

// object reads an object behind its brace. It has to have the id, or at least one of the properties that are known of it.
func (f *shape) object(wantID bool) error {
	known := f.op.AnswerProperties()
	has, failed := len(known) == 0 && !wantID, false
	for f.d.More() {
		t, err := f.token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		if t, err = f.token(); err != nil {
			return err
		}
		full, err := f.rest(t)
		if err != nil {
			return err
		}
		switch {
		case slices.Contains(failures, name) && !slices.Contains(known, name):
			failed = failed || full
		case wantID:
			has = has || name == "id" && isID(t)
		default:
			has = has || t != nil && slices.Contains(known, name)
		}
	}
	if _, err := f.token(); err != nil {
		return err
	}
	switch {
	case failed:
		return errFailure
	case !has && wantID:
		return errNoID
	case !has:
		return &Error{"JSON that is no " + f.op.AnswerSchema}
	}
	return nil
}

// isID says whether a value can be an id. All that are known of are texts.
func isID(t json.Token) bool {
	switch t := t.(type) {
	case string:
		return t != ""
	case json.Number:
		return true
	}
	return false
}

// rest reads what belongs to a value that begins with a token. full says that there is something in it.
func (f *shape) rest(t json.Token) (full bool, err error) {
	if d, opens := t.(json.Delim); !opens {
		return t != nil && t != false && t != "", nil
	} else if d == '}' || d == ']' {
		return false, ErrNotJSON
	}
	full = f.d.More()
	for depth := 1; depth > 0; {
		t, err := f.token()
		if err != nil {
			return full, err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return full, errTooDeep
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	return full, nil
}

// Body passes a body on and fails at its end, or before, if it is not in the form of its operation.
type Body struct {
	*io.PipeReader
	verdict chan error
}

// Checked returns a body that is checked while it is read. Whoever has it has to close it.
func Checked(op factro.Operation, body io.Reader) Body {
	r, w := io.Pipe()
	c := Body{r, make(chan error, 1)}
	go func() { // ends with the body, or when the reader is closed
		err := Check(op, io.TeeReader(body, w))
		c.verdict <- err
		w.CloseWithError(err)
	}()
	return c
}

// Wrong is what is wrong with the form of the body, if that is known, whatever its reader made of it.
func (c Body) Wrong() error {
	select {
	case err := <-c.verdict:
		if wrong, ok := errors.AsType[*Error](err); ok {
			return wrong
		}
	default:
	}
	return nil
}

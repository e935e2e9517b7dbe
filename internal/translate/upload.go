package translate

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Upload is a file that a command sends to factro: a multipart body with one part, named file. That name was found by
// observation; the vendor's document describes no body. Writing the body is the caller's, who can do it while it is sent.
type Upload struct {
	// Name and ContentType are those of the part. ContentType is application/octet-stream if the command gives none.
	Name, ContentType string
	// Data is the content in base64, and proven to be that; Size is the content's size in bytes.
	Data string
	Size int64
	// Object is where the content is instead, or nil. Whether it is there, and may be read, is not looked at here.
	Object *events.ObjectRef
}

// upload reads the file of a command whose data its schema has accepted: with either data or object.
func upload(op factro.Operation, raw json.RawMessage) (*Upload, []events.FieldError) {
	file, err := object(raw)
	if err != nil {
		return nil, []events.FieldError{{Pointer: "/file", Message: err.Error()}}
	}
	name, _ := text(string(file["name"]))
	kind, _ := text(string(file["contentType"]))
	u := &Upload{Name: name, ContentType: cmp.Or(lineEnds.Replace(kind), "application/octet-stream")}
	var wrong []events.FieldError
	if ref, given := file["object"]; given {
		var fields map[string]json.RawMessage
		u.Object, fields = reference(ref)
		wrong = inside("/file/object", homeless(op, fields))
	} else {
		u.Data, _ = text(string(file["data"]))
		// Through a decoder that keeps nothing: the content is as large as a message can be.
		u.Size, err = io.Copy(io.Discard, base64.NewDecoder(base64.StdEncoding, strings.NewReader(u.Data)))
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("its last four characters are not")
		}
		if err != nil {
			wrong = append(wrong, events.FieldError{Pointer: "/file/data", Message: "a string that is not base64: " + err.Error()})
		}
	}
	for _, known := range []string{"name", "contentType", "data", "object"} {
		delete(file, known)
	}
	wrong = append(wrong, inside("/file", homeless(op, file))...)
	if len(wrong) > 0 {
		return nil, wrong
	}
	return u, nil
}

// lineEnds would end a header and begin another.
var lineEnds = strings.NewReplacer("\r", "", "\n", "")

// reference reads what names an object, and returns the properties that do not belong there.
func reference(raw json.RawMessage) (*events.ObjectRef, map[string]json.RawMessage) {
	fields, _ := object(raw) // the schema has seen that it is one, with two strings
	bucket, _ := text(string(fields["bucket"]))
	name, _ := text(string(fields["name"]))
	for _, known := range []string{"bucket", "name", "size"} { // the store knows the size itself
		delete(fields, known)
	}
	return &events.ObjectRef{Bucket: bucket, Name: name}, fields
}

// inside moves mistakes below a pointer.
func inside(pointer string, mistakes []events.FieldError) []events.FieldError {
	for i := range mistakes {
		mistakes[i].Pointer = pointer + mistakes[i].Pointer
	}
	return mistakes
}

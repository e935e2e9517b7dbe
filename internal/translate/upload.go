package translate

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/jsontext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Upload is a file that a command sends to factro: a multipart body with one part, named file. That name was found by
// observation; the vendor's document describes no body. The caller writes the body, so that it can be streamed.
type Upload struct {
	// Name and ContentType are those of the part. ContentType is application/octet-stream if the command gives none.
	Name, ContentType string
	// Data is the content in base64, already checked; Size is the content's size in bytes.
	Data string
	Size int64
	// Object is the location of the content in an object store, or nil. Whether it exists and may be read is not checked
	// here.
	Object *events.ObjectRef
}

// upload reads the file of a command whose data its schema has accepted: it has either data or object.
func upload(op factro.Operation, raw json.RawMessage) (*Upload, []events.FieldError) {
	file, err := jsontext.Object(raw)
	if err != nil {
		return nil, []events.FieldError{{Pointer: "/file", Message: err.Error()}}
	}
	name, _ := jsontext.String(string(file["name"]))
	kind, _ := jsontext.String(string(file["contentType"]))
	u := &Upload{Name: name, ContentType: cmp.Or(kind, "application/octet-stream")}
	var wrong []events.FieldError
	if why := noFileName(name); why != "" {
		wrong = append(wrong, events.FieldError{Pointer: "/file/name", Message: why})
	}
	if why := noContentType(kind); why != "" {
		wrong = append(wrong, events.FieldError{Pointer: "/file/contentType", Message: why})
	}
	if ref, given := file["object"]; given {
		var fields map[string]json.RawMessage
		u.Object, fields = reference(ref)
		wrong = append(wrong, inside("/file/object", homeless(op, fields))...)
	} else {
		u.Data, _ = jsontext.String(string(file["data"]))
		// The decoder keeps nothing: the content can be as large as a message.
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

const (
	maxFileName    = 255 // characters, as in file systems
	maxContentType = 255 // bytes
)

// noFileName returns why a text is not the name of a file, or "". The program that stores the file may use the name
// unchanged: it must not lead to another folder, and must not end the part's header or, for a parser in C, the string.
func noFileName(name string) string {
	switch {
	case utf8.RuneCountInString(name) > maxFileName:
		return fmt.Sprintf("a name of %d characters, want at most %d", utf8.RuneCountInString(name), maxFileName)
	case name == ".", name == "..", strings.ContainsAny(name, `/\`):
		return fmt.Sprintf("%q is a path, want the name of a file without its folder", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Sprintf("%q has a control character, want the name of a file", name)
	}
	return ""
}

// noContentType returns why a text cannot be the value of a part's Content-Type, or "".
func noContentType(kind string) string {
	if len(kind) > maxContentType {
		return fmt.Sprintf("a content type of %d bytes, want at most %d", len(kind), maxContentType)
	}
	for _, c := range []byte(kind) {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("%q has other characters than a header may have, want a content type such as application/pdf", kind)
		}
	}
	return ""
}

// reference reads a reference to an object, and returns the properties that do not belong there.
func reference(raw json.RawMessage) (*events.ObjectRef, map[string]json.RawMessage) {
	fields, _ := jsontext.Object(raw) // the schema has checked that it is one, with two strings
	bucket, _ := jsontext.String(string(fields["bucket"]))
	name, _ := jsontext.String(string(fields["name"]))
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

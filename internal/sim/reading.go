package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// maxBody bounds a request's body, uploads included.
const maxBody = 64 << 20

// read takes in the body and holds the request against the description.
func (t *tx) read(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return invalid("", "read body: %v", err)
	}
	if t.op.Body == factro.BodyList && t.op.Batch != factro.BatchAtomic {
		var elements []json.RawMessage
		if json.Unmarshal(body, &elements) == nil && len(elements) > 0 {
			return t.readElements(r, body, elements)
		}
	}
	if err := t.readJSON(body); err != nil {
		return err
	}
	if err := t.contract.checkRequest(r, t.op, t.params, body); err != nil {
		return err
	}
	if t.op.Body == factro.BodyMultipart {
		t.file, err = readUpload(r, body)
	}
	return err
}

// readElements judges each element alone, so that the good ones of a partial batch can take effect.
func (t *tx) readElements(r *http.Request, body []byte, elements []json.RawMessage) error {
	t.elements = map[int]error{}
	for i, element := range elements {
		list := append(append([]byte{'['}, element...), ']')
		one := &tx{op: t.op}
		err := one.readJSON(list)
		if err == nil {
			err = t.contract.checkRequest(r, t.op, t.params, list)
		}
		if err != nil {
			t.elements[i] = err
		}
	}
	return decode(body, &t.body)
}

// readJSON decodes the body. A null officer is looked for before the description is asked: the description does not
// allow it at all, but factro has an answer of its own for it.
func (t *tx) readJSON(body []byte) error {
	if t.op.Body != factro.BodyObject && t.op.Body != factro.BodyList || len(body) == 0 {
		return nil
	}
	if err := decode(body, &t.body); err != nil {
		return err
	}
	elements, isList := t.body.([]any)
	if !isList {
		elements = []any{t.body}
	}
	for _, e := range elements {
		element, _ := e.(map[string]any)
		if officer, sent := element["officerId"]; sent && officer == nil && t.op.Resource == "task" {
			return forbidden("officerId must not be null")
		}
	}
	return nil
}

// decode keeps numbers as they are written, so that large ones keep their digits.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return invalid("", "body is no JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("", "body has something behind its JSON")
	}
	return nil
}

func readUpload(r *http.Request, body []byte) (*upload, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, invalid("", "content type: %v", err)
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil, invalid("file", "no part is named file")
		}
		if part.FormName() != "file" {
			continue
		}
		size, err := io.Copy(io.Discard, part)
		if err != nil {
			return nil, invalid("file", "read part file: %v", err)
		}
		if part.FileName() == "" {
			return nil, invalid("file", "part file has no file name")
		}
		return &upload{part.FileName(), part.Header.Get("Content-Type"), size}, nil
	}
}

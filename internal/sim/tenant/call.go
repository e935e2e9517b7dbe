package tenant

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"

	"github.com/factro-bridge/factro-bridge/internal/factro"
)

// Read validates a request with its body against the description. A mistake in the request is a *RefusalError.
func Read(r *http.Request, op factro.Operation, params map[string]string, body []byte) (*Call, error) {
	contract, err := parsedContract()
	if err != nil {
		return nil, err
	}
	c := &Call{op: op, params: params, query: r.URL.Query()}
	if op.Body == factro.BodyList && op.Batch != factro.BatchAtomic {
		var elements []json.RawMessage
		if json.Unmarshal(body, &elements) == nil && len(elements) > 0 {
			return c, c.readElements(r, contract, body, elements)
		}
	}
	if err := c.readJSON(body); err != nil {
		return nil, err
	}
	if err := contract.checkRequest(r, op, params, body); err != nil {
		return nil, err
	}
	if op.Body == factro.BodyMultipart {
		c.file, err = readUpload(r, body)
	}
	return c, err
}

// readElements validates each element alone, so that the valid ones of a partial batch can take effect.
func (c *Call) readElements(r *http.Request, contract *contract, body []byte, elements []json.RawMessage) error {
	c.elements = map[int]error{}
	for i, element := range elements {
		list := append(append([]byte{'['}, element...), ']')
		one := &Call{op: c.op}
		err := one.readJSON(list)
		if err == nil {
			err = contract.checkRequest(r, c.op, c.params, list)
		}
		if err != nil {
			c.elements[i] = err
		}
	}
	return Decode(body, &c.body)
}

// readJSON decodes the body. It checks for a null officer before the validation: the description does not allow it, but factro has its
// own answer for it.
func (c *Call) readJSON(body []byte) error {
	if c.op.Body != factro.BodyObject && c.op.Body != factro.BodyList || len(body) == 0 {
		return nil
	}
	if err := Decode(body, &c.body); err != nil {
		return err
	}
	elements, isList := c.body.([]any)
	if !isList {
		elements = []any{c.body}
	}
	for _, e := range elements {
		element, _ := e.(map[string]any)
		if officer, sent := element["officerId"]; sent && officer == nil && c.op.Resource == "task" {
			return forbidden("officerId must not be null")
		}
	}
	return nil
}

// Decode decodes JSON and keeps numbers as text, so that large ones keep their digits.
func Decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return Invalid("", "body is not JSON: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Invalid("", "body has data after its JSON")
	}
	return nil
}

func readUpload(r *http.Request, body []byte) (*upload, error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, Invalid("", "content type: %v", err)
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil, Invalid("file", "there is no part named file")
		}
		if part.FormName() != "file" {
			continue
		}
		size, err := io.Copy(io.Discard, part)
		if err != nil {
			return nil, Invalid("file", "read part file: %v", err)
		}
		if part.FileName() == "" {
			return nil, Invalid("file", "part file has no file name")
		}
		return &upload{part.FileName(), part.Header.Get("Content-Type"), size}, nil
	}
}

// Call is one valid call of an operation of the Core API.
type Call struct {
	op     factro.Operation
	params map[string]string
	query  url.Values

	body any // decoded, numbers as json.Number; nil without a body
	file *upload
	// elements are the errors that the contract found in the elements of a partial batch, by index.
	elements map[int]error
}

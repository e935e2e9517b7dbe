package sim

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim/tenant"
)

// description is openapi.yaml, parsed once for all tests.
var description = sync.OnceValues(func() (*openapi3.T, error) { return openapi3.NewLoader().LoadFromData(factro.OpenAPI) })

// checkResponse reports how an answer breaks the description.
func checkResponse(r *http.Request, op factro.Operation, status int, header http.Header, body []byte) error {
	doc, err := description()
	if err != nil {
		return err
	}
	item := doc.Paths.Value(op.Path)
	options := &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{
			openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(s string) error {
				if !tenant.IsUUID(s) {
					return fmt.Errorf("%q is not a uuid", s)
				}
				return nil
			})),
		},
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Options: options, Route: &routers.Route{
			Spec: doc, Path: op.Path, PathItem: item, Method: op.Method, Operation: item.GetOperation(op.Method),
		}},
		Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Options: options,
	})
}

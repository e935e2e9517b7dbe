package binding

import (
	"net/url"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// TestUsual: what is valid for sure is valid for the SDK, for all combinations of values of the attributes.
func TestUsual(t *testing.T) {
	t.Parallel()
	texts := []string{"", " \t", "a", "application/json", "application/json;", "text/plain; charset"}
	pointers := []*string{nil}
	for _, s := range texts {
		pointers = append(pointers, &s)
	}
	uris := []url.URL{{}, {Path: "a"}, {Path: " "}, {Scheme: "urn", Opaque: "a"}, {Scheme: "https", Host: "a", Path: "/b"}}
	sure := 0
	for _, id := range texts {
		for _, typ := range texts {
			for _, source := range uris {
				for _, subject := range pointers {
					for _, content := range pointers {
						for i := -1; i < len(uris); i++ {
							c := &event.EventContextV1{ID: id, Type: typ, Source: types.URIRef{URL: source}, Subject: subject, DataContentType: content}
							if i >= 0 {
								c.DataSchema = &types.URI{URL: uris[i]}
							}
							if !isUsual(c) {
								continue
							}
							sure++
							if err := c.Validate(); err != nil {
								t.Errorf("%+v is not valid: %v", c, err)
							}
						}
					}
				}
			}
		}
	}
	if sure == 0 {
		t.Error("nothing is valid for sure")
	}
}

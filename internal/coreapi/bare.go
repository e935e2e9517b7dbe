package coreapi

import (
	"strings"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// Bare is a result without anything that could be large.
func Bare(r events.Result) events.Result {
	r.Omitted = r.Omitted || r.Response != nil
	r.Response, r.Set, r.SetOmitted = nil, nil, nil
	if r.Resource != nil && (len(r.Resource.ID) > 128 || len(r.Resource.URL) > 512) {
		r.Resource = nil
	}
	if r.Error != nil {
		r.Error = &events.Error{
			Code: r.Error.Code, Message: Shorten(r.Error.Message), Status: r.Error.Status,
			Detail: Detail("left out: the broker refused the complete message"),
		}
	}
	return r
}

// Shorten cuts a message to a length that people read.
func Shorten(s string) string {
	const most = 1 << 10
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

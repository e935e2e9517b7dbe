package courier

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
)

// Webhook is a registered webhook: a URL and one action, as in factro's web UI.
type Webhook struct {
	URL string `json:"url"`
	// Action is the action that fires. "*" stands for every action; factro does not have that.
	Action string `json:"action"`
	// Header and Value are sent unchanged with every delivery. Both may be empty.
	Header string `json:"header,omitempty"`
	Value  string `json:"value,omitempty"`
}

// String leaves the secret out, so that a registration can be logged.
func (h Webhook) String() string { return fmt.Sprintf("%s on %s", h.URL, h.Action) }

var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// Validate reports all mistakes of the registration at once.
func (h Webhook) Validate() error {
	var errs []error
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, fmt.Errorf("url %q is not an http or https address", h.URL))
	}
	if h.Action == "" {
		errs = append(errs, errors.New("action is missing"))
	}
	if h.Header != "" && !headerName.MatchString(h.Header) {
		errs = append(errs, fmt.Errorf("header %q is not a header name", http.CanonicalHeaderKey(h.Header)))
	}
	if h.Header == "" && h.Value != "" {
		errs = append(errs, errors.New("a value needs a header"))
	}
	return errors.Join(errs...)
}

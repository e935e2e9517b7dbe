package hostile

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// started takes the addresses out of the line that says that the bridge has started.
func (n *node) started(line []byte) bool {
	var l struct{ Msg, HTTP, Admin string }
	if json.Unmarshal(line, &l) != nil || l.Msg != "bridge started" {
		return false
	}
	n.http, n.admin = l.HTTP, l.Admin
	return true
}

// fresh opens a connection for each request, as a probe of an orchestrator does.
var fresh = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: probeTimeout}).DialContext}}

// get asks the admin server; the status is 0 without an answer.
func (n *node) get(path string) (status int, body string) {
	ctx, cancel := context.WithTimeout(n.w.ctx, 2*probeTimeout)
	defer cancel()
	return ask(ctx, "http://"+n.admin+path)
}

func ask(ctx context.Context, url string) (status int, body string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	resp, err := fresh.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

func (n *node) status(path string) int {
	status, _ := n.get(path)
	return status
}

// metric is the sum of all series of a name that have all of the labels, each such as `factro_cloud="beta"`, and whether there is one.
func (n *node) metric(name string, labels ...string) (sum float64, there bool) {
	_, body := n.get("/metrics")
series:
	for line := range strings.Lines(body) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		base, rest, ok := strings.Cut(series, "{")
		if !ok { // without labels
			base, value, _ = strings.Cut(series, " ")
		}
		if base != name {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(","+rest+",", ","+label+",") {
				continue series
			}
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			sum, there = sum+v, true
		}
	}
	return sum, there
}

// probeTimeout is how long an orchestrator waits for the answer of a probe.
const probeTimeout = 3 * time.Second

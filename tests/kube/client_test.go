//go:build kube

package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client asks the API server for single things. Helm has its own.
type client struct {
	url  string
	http *http.Client
	// config is the file that Helm is given.
	config string
}

func newClient(url string) *client {
	// The certificate was made by the server that was just started, on loopback.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	return &client{url: url, http: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// errBusy is what the server says while it makes room for a new kind of objects. It wants to be asked again, and Helm
// does so as well.
var errBusy = errors.New("busy")

// do sends JSON and returns the answer; any status but a 2xx is an error with what the server said.
func (c *client) do(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	var refused error
	err = until(ctx, func() error {
		answer, refused = c.once(ctx, method, path, body)
		if errors.Is(refused, errBusy) {
			return refused
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	return answer, err
}

// once is do without asking again.
func (c *client) once(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		var status struct{ Message string }
		if json.Unmarshal(answer, &status) != nil || status.Message == "" {
			status.Message = string(answer)
		}
		if response.StatusCode == http.StatusTooManyRequests {
			return nil, fmt.Errorf("%w: %s: %s", errBusy, response.Status, status.Message)
		}
		return nil, fmt.Errorf("%s: %s", response.Status, status.Message)
	}
	return answer, nil
}

// create creates an object, or only has the server go through all of it.
func (c *client) create(ctx context.Context, path string, object any, dryRun bool) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	path += "?fieldValidation=Strict"
	if dryRun {
		path += "&dryRun=All"
	}
	_, err = c.do(ctx, http.MethodPost, path, body)
	return err
}

// count returns how many objects there are below a path.
func (c *client) count(ctx context.Context, path string) (int, error) {
	answer, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	var list struct{ Items []json.RawMessage }
	return len(list.Items), json.Unmarshal(answer, &list)
}

// version is what the server says that it is.
func (c *client) version(ctx context.Context) string {
	answer, err := c.do(ctx, http.MethodGet, "/version", nil)
	var info struct{ GitVersion string }
	if err != nil || json.Unmarshal(answer, &info) != nil {
		return "an API server of unknown version"
	}
	return "Kubernetes " + info.GitVersion
}

// wait returns when the server is ready.
func (c *client) wait(ctx context.Context) error {
	return until(ctx, func() error {
		_, err := c.do(ctx, http.MethodGet, "/readyz", nil)
		return err
	})
}

// define creates custom resource definitions and returns when they can be used.
func (c *client) define(ctx context.Context, crds []json.RawMessage) error {
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	for _, crd := range crds {
		if err := c.create(ctx, path, crd, false); err != nil {
			return err
		}
	}
	return until(ctx, func() error {
		answer, err := c.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		ready := bytes.Count(answer, []byte(`"type":"Established","status":"True"`))
		if ready < len(crds) {
			return fmt.Errorf("%d of %d definitions are established", ready, len(crds))
		}
		return nil
	})
}

// kubeconfig returns what Helm needs to find the server, and remembers where it will be.
func (c *client) kubeconfig(file string) string {
	c.config = file
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: tests
contexts: [{name: tests, context: {cluster: tests, user: tests}}]
clusters: [{name: tests, cluster: {server: %q, insecure-skip-tls-verify: true}}]
users: [{name: tests, user: {token: %q}}]
`, c.url, token)
}

// until asks until there is no error, and gives up with the last one.
func until(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", startTime, err)
		case <-again.C:
		}
	}
}

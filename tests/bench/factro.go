package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// coreAPI answers every call like a Core API that has carried it out, and counts those that change something: the bridge
// also reads, without any command, to see which webhooks it has missed.
type coreAPI struct {
	*localServer
	calls atomic.Int64
	hangs atomic.Bool // whether calls that change something get no answer
}

// answerBody is what factro answers with, cut down to what the bridge looks for and a little more.
const answerBody = `{"id":"8b0a4d7e-3f0c-4f7d-9a56-1f6d0b0c9e11","mandantId":"5a1f2c3d-9e8b-4c6a-8d7f-0a1b2c3d4e5f",` +
	`"title":"Prepare the offer","taskState":"active","projectId":"c2a7d3b4-6f5e-4d8c-b9a0-7e6f5d4c3b2a","number":17}`

func newCoreAPI(delay time.Duration) (*coreAPI, error) {
	a := &coreAPI{}
	var err error
	a.localServer, err = serve(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the call counts, whatever it says
		if r.Header.Get("Authorization") != apiKey {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if delay > 0 {
			time.Sleep(delay)
		}
		if r.Method != http.MethodGet {
			if a.hangs.Load() {
				<-r.Context().Done()
				return
			}
			a.calls.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answerBody)
	})
	return a, err
}

func (a *coreAPI) close() {
	if a != nil {
		a.localServer.close()
	}
}

// traceSink swallows exported spans, and counts how often some came.
type traceSink struct {
	*localServer
	exports atomic.Int64
}

func newTraceSink() (*traceSink, error) {
	s := &traceSink{}
	var err error
	s.localServer, err = serve(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.exports.Add(1)
		w.WriteHeader(http.StatusOK)
	})
	return s, err
}

func (s *traceSink) close() {
	if s != nil {
		s.localServer.close()
	}
}

// localServer is an HTTP server on a free port.
type localServer struct {
	url string
	srv *http.Server
}

func serve(handle http.HandlerFunc) (*localServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	s := &localServer{"http://" + l.Addr().String(), &http.Server{Handler: handle, ReadHeaderTimeout: 5 * time.Second}}
	go func() { _ = s.srv.Serve(l) }()
	return s, nil
}

func (s *localServer) close() {
	if s != nil {
		_ = s.srv.Close()
	}
}

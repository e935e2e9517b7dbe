// Compose drives a webhook and a command through a running compose stack, from outside as its user would, and looks
// whether the trace, the metrics and the data of each panel are there. tests/compose/run starts the stack and runs it.
//
// With the argument ready it waits until the bridge has been away and is ready again, and prints when that was.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// The ports of docker-compose.yml.
const (
	simulator  = "http://127.0.0.1:8081"
	readyz     = "http://127.0.0.1:9090/readyz"
	jaeger     = "http://127.0.0.1:16686"
	prometheus = "http://127.0.0.1:9091"
	grafana    = "http://127.0.0.1:3000"
	natsURL    = "nats://127.0.0.1:4222"
)

// patience is how long anything may take to arrive.
const patience = time.Minute

func main() {
	dashboards := flag.String("dashboards", "", "`folder` of dashboards whose queries are asked of Prometheus")
	only := flag.Bool("roundtrip", false, "only the webhook and the command")
	flag.Parse()
	if err := run(flag.Arg(0), *dashboards, *only); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
}

func run(what, dashboards string, only bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if what == "ready" {
		return restarted(ctx)
	}
	traces, err := roundTrip(ctx, true)
	if err != nil || only {
		return err
	}
	if err := traced(ctx, traces); err != nil {
		return err
	}
	return measured(ctx, dashboards)
}

// restarted prints the time at which the bridge was ready after it had been away, in milliseconds since 1970.
func restarted(ctx context.Context) error {
	isReady := func() bool { status, _, err := get(ctx, readyz); return err == nil && status == http.StatusOK }
	if err := until(ctx, "the bridge is away", 10*time.Millisecond, func() bool { return !isReady() }); err != nil {
		return err
	}
	if err := until(ctx, "the bridge is ready", 5*time.Millisecond, isReady); err != nil {
		return err
	}
	fmt.Println(time.Now().UnixMilli())
	return nil
}

// until asks again and again, since neither of those who are asked can tell when something is there.
func until(ctx context.Context, what string, every time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(every)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s", what, patience)
		}
	}
	return nil
}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func get(ctx context.Context, url string) (status int, body []byte, err error) {
	return do(ctx, http.MethodGet, url, http.NoBody)
}

func do(ctx context.Context, method, url string, body io.Reader) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, answer, err
}

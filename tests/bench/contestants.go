package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// What all contestants are configured with. The secrets are for programs that live for seconds on loopback.
const (
	cloud        = "acme"
	webhookPath  = "/webhooks/" + cloud
	secretHeader = "X-Bridge-Key"
	secretValue  = "a-secret-for-the-benchmark"
	apiKey       = "a-key-for-the-benchmark"
)

// The prefixes under which the others have their streams.
const (
	floorPrefix events.Prefix = "floor"
	peerPrefix  events.Prefix = "bento"
)

// bridgeConfig leaves everything at its default but addresses and the request budget, which is as large as it can be:
// pacing for factro's sake is not what is measured.
const bridgeConfig = `
http: {listen: "%s"}
admin: {listen: "%s"}
nats: {url: "%s"}
clouds:
  - name: ` + cloud + `
    webhook: {header: ` + secretHeader + `, secrets: [{value: ` + secretValue + `}]}
    api: {url: "%s/api/core", key: {value: ` + apiKey + `}, requests_per_minute: 100000}
`

// startBridge starts "bridge run" and waits until it is ready.
func (b *bench) startBridge(ctx context.Context, address string, traced bool) (*process, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(b.dir, "bridge.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, bridgeConfig, address, admin, b.url, b.api.url), 0o600); err != nil {
		return nil, fmt.Errorf("configuration of the bridge: %w", err)
	}
	var env []string // without any, the bridge records no spans
	if traced {
		env = []string{
			"OTEL_TRACES_EXPORTER=otlp", "OTEL_METRICS_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=" + b.sink.url,
			"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1",
		}
	}
	return b.startReady(ctx, "bridge", env, "http://"+admin+"/readyz", http.StatusOK, "run", "--config", path)
}

func (b *bench) startFloor(ctx context.Context, address string) (*process, error) {
	env := []string{
		"NATS_URL=" + b.url, "LISTEN=" + address, "SECRET=" + secretValue,
		"SUBJECT=" + floorPrefix.Event(cloud, "task", "_", "TaskStateChanged"),
	}
	// It listens when it is connected, and takes no GET.
	return b.startReady(ctx, "floor", env, "http://"+address+webhookPath, http.StatusMethodNotAllowed, "webhook")
}

func (b *bench) startFloorWorker(ctx context.Context, withResult bool, sideBySide int) (*process, error) {
	env := []string{
		"NATS_URL=" + b.url, "STREAM=" + floorPrefix.CommandStream(cloud), "CONSUMER=" + consumerName,
		"API_URL=" + b.api.url + "/api/core/tasks", "API_KEY=" + apiKey,
		"CONCURRENCY=" + strconv.Itoa(sideBySide),
	}
	if withResult {
		env = append(env, "RESULT_SUBJECT="+floorPrefix.Result(cloud, "task", "createTask", events.Applied))
	}
	return b.spawn(ctx, "floor", env, "command")
}

func (b *bench) startPeer(ctx context.Context, address, config string) (*process, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	env := []string{
		"NATS_URL=" + b.url, "LISTEN=" + address, "ADMIN=" + admin, "WEBHOOK_PATH=" + webhookPath,
		"STREAM=" + peerPrefix.CommandStream(cloud), "CONSUMER=" + consumerName,
		"API_URL=" + b.api.url + "/api/core/tasks", "API_KEY=" + apiKey,
		"RESULT_SUBJECT=" + peerPrefix.Result(cloud, "task", "createTask", events.Applied),
	}
	return b.startReady(ctx, "peer", env, "http://"+admin+"/ready", http.StatusOK, "-c", filepath.Join("peer", config))
}

// startReady starts a program and waits until it answers.
func (b *bench) startReady(ctx context.Context, name string, env []string, url string, status int, args ...string) (*process, error) {
	p, err := b.spawn(ctx, name, env, args...)
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, "ready", answers(url, status)); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// prepare has the bridge make its streams, learns them, and reads the memory of a bridge that has nothing to do.
func (b *bench) prepare(ctx context.Context) (idle footprint, err error) {
	address, err := freeAddress()
	if err != nil {
		return idle, err
	}
	p, err := b.startBridge(ctx, address, true)
	if err != nil {
		return idle, err
	}
	defer p.stop()
	if err := b.learn(ctx); err != nil {
		return idle, err
	}
	progress("the bridge idles for %s", b.idle)
	select {
	case <-time.After(b.idle):
	case <-ctx.Done():
		return idle, ctx.Err()
	}
	return p.footprint()
}

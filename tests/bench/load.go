package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
)

// webhook is a body as factro may send it. What is proven of factro's are action and context.entityId.
const webhook = `{"action":"TaskStateChanged","context":{"entityId":"` + noID + `","entityType":"task",` +
	`"projectId":"c2a7d3b4-6f5e-4d8c-b9a0-7e6f5d4c3b2a"},"createdAt":"2026-01-15T09:30:00.000Z",` +
	`"mandantId":"5a1f2c3d-9e8b-4c6a-8d7f-0a1b2c3d4e5f","webhookId":"1d2c3b4a-5f6e-4a7b-8c9d-0e1f2a3b4c5d",` +
	`"payload":{"title":"Angebot für die Erweiterung der Lagerhalle prüfen","taskState":"completed",` +
	`"previousTaskState":"active","executorId":"0f1e2d3c-4b5a-4968-8776-655443322110","taskPriority":50,` +
	`"endDate":"2026-01-31T23:00:00.000Z","number":1742,"isMilestone":false,"customFields":{}}}`

// noID is where each webhook gets an entity id of its own.
const noID = "00000000-0000-0000-0000-000000000000"

// load sends webhooks over connections that stay open. It writes prepared bytes and reads the answer with net/http's
// parser: an http.Client would take as much CPU from the machine as the contestant does.
type load struct {
	clients  []*client
	answered int // with 2xx, in all runs
}

type client struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
	id      []byte // the part of request that differs
}

func dial(ctx context.Context, address string, connections int) (*load, error) {
	l := &load{}
	for range connections {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("connect: %w", err)
		}
		c := &client{conn: conn, reader: bufio.NewReader(conn)}
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n%s: %s\r\nContent-Length: %d\r\n\r\n",
			webhookPath, address, secretHeader, secretValue, len(webhook))
		c.request = []byte(head + webhook)
		at := len(head) + len(`{"action":"TaskStateChanged","context":{"entityId":"`)
		c.id = c.request[at : at+len(noID)]
		l.clients = append(l.clients, c)
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		_ = c.conn.Close()
	}
}

// post sends one webhook and waits for the answer.
func (c *client) post() error {
	id := uuid.New()
	text, _ := id.MarshalText() // never fails
	copy(c.id, text)
	if _, err := c.conn.Write(c.request); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("a webhook was answered with %s", resp.Status)
	}
	return nil
}

// saturate has every connection send one webhook after the other for d, and returns how many were answered.
func (l *load) saturate(ctx context.Context, d time.Duration) (int, error) {
	end := time.Now().Add(d)
	latencies, err := l.run(ctx, d, func(c *client) ([]time.Duration, error) {
		var own []time.Duration
		for time.Now().Before(end) {
			start := time.Now()
			if err := c.post(); err != nil {
				return own, err
			}
			own = append(own, time.Since(start))
		}
		return own, nil
	})
	return len(latencies), err
}

// offer sends webhooks at a fixed rate for d, over whichever connection is free, and returns how long each took from
// when it was to be sent. So a contestant that stalls is charged with all that had to wait.
func (l *load) offer(ctx context.Context, rate int, d time.Duration) ([]time.Duration, error) {
	count := int(d.Seconds() * float64(rate))
	due := make(chan time.Time, count)
	go func() {
		defer close(due)
		pace(ctx, rate, count, func(_ int, intended time.Time) { due <- intended })
	}()
	return l.run(ctx, d, func(c *client) ([]time.Duration, error) {
		var own []time.Duration
		for intended := range due {
			if err := c.post(); err != nil {
				return own, err
			}
			own = append(own, time.Since(intended))
		}
		return own, nil
	})
}

// run has all connections work at once. Any failure is the end: a contestant that drops webhooks is not measured.
func (l *load) run(ctx context.Context, d time.Duration, work func(*client) ([]time.Duration, error)) ([]time.Duration, error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		all  []time.Duration
		errs []error
	)
	deadline := time.Now().Add(2*d + 10*time.Second)
	for _, c := range l.clients {
		_ = c.conn.SetDeadline(deadline) // an error would show at the next write
		stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
		defer stop() //nolint:revive // there are only so many connections
		wg.Go(func() {
			own, err := work(c)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	l.answered += len(all)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return all, errors.Join(errs...)
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// commands pulls messages, makes the call of each and acknowledges it. CONCURRENCY says how many at once; of one that is 1, the broker
// delivers one at a time. With RESULT_SUBJECT it also stores the answer as a result before it acknowledges, as the bridge does.
func commands(ctx context.Context, js jetstream.JetStream) error {
	consumer, err := js.Consumer(ctx, os.Getenv("STREAM"), os.Getenv("CONSUMER"))
	if err != nil {
		return err
	}
	atOnce, err := strconv.Atoi(os.Getenv("CONCURRENCY"))
	if err != nil {
		return err
	}
	pulled := 256 // as the bridge
	if atOnce == 1 {
		pulled = 1
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(pulled))
	if err != nil {
		return err
	}
	defer it.Stop()
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:errcheck // it is one
	transport.MaxIdleConnsPerHost = atOnce
	client := &http.Client{Timeout: 20 * time.Second, Transport: transport}
	failed := make(chan error, atOnce)
	for range atOnce {
		go func() { failed <- work(ctx, it, client, js) }()
	}
	return <-failed
}

func work(ctx context.Context, it jetstream.MessagesContext, client *http.Client, js jetstream.JetStream) error {
	for {
		msg, err := it.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		settle := msg.Ack
		if err := carryOut(ctx, client, js, msg); err != nil {
			fmt.Fprintln(os.Stderr, "floor:", err)
			settle = msg.Nak
		}
		if err := settle(); err != nil {
			return err
		}
	}
}

func carryOut(ctx context.Context, client *http.Client, js jetstream.JetStream, msg jetstream.Msg) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("API_URL"), bytes.NewReader(msg.Data()))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", os.Getenv("API_KEY"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("answered with %s", resp.Status)
	}
	subject := os.Getenv("RESULT_SUBJECT")
	if subject == "" {
		return nil
	}
	id := msg.Headers().Get(jetstream.MsgIDHeader)
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: answer, Header: nats.Header{
		jetstream.MsgIDHeader: {id + ".applied"}, "ce-causationid": {id},
	}})
	return err
}

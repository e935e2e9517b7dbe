package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// commands pulls a message, makes the call and acknowledges the message, one after the other. With RESULT_SUBJECT it also
// stores the answer as a result before it acknowledges, as the bridge does.
func commands(ctx context.Context, js jetstream.JetStream) error {
	consumer, err := js.Consumer(ctx, os.Getenv("STREAM"), os.Getenv("CONSUMER"))
	if err != nil {
		return err
	}
	it, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return err
	}
	defer it.Stop()
	client := &http.Client{Timeout: 20 * time.Second}
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

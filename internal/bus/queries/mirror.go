package queries

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/publish"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// MirrorSubject is where the bridge that mirrors a cloud is asked how far it is, and to read all lists: factro.mirror.<cloud>. It is for
// operators: a request may cost many requests to factro.
func MirrorSubject(p events.Prefix, cloud string) string { return string(p) + ".mirror." + cloud }

// ServeMirror answers the requests to the mirror of a cloud, until ctx ends. Only the bridge that mirrors the cloud serves them.
func ServeMirror(ctx context.Context, conn Conn, cloud string, answer func(request []byte) Answer, log *slog.Logger) error {
	cfg := conn.Settings()
	replies, err := publish.RequestReplies(cloud, "mirror", cfg.ReplyPrefixes, log)
	if err != nil {
		return err
	}
	subject := MirrorSubject(cfg.Prefix, cloud)
	sub, err := conn.NATS().Subscribe(subject, func(msg *nats.Msg) {
		if msg.Reply == "" || !replies.Allow(ctx, msg.Reply, "") {
			return
		}
		reply := answer(msg.Data).message()
		reply.Subject = msg.Reply
		if err := conn.NATS().PublishMsg(reply); err != nil {
			log.WarnContext(ctx, "answer to a request to the mirror could not be sent", "cloud", cloud, "error", err)
		}
	})
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // an error means that it has ended
	return ctx.Err()
}

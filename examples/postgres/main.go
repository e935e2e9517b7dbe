// Command postgres keeps a table in PostgreSQL in step with factro. It reads the state that the bridge's mirror keeps on NATS: first
// every object, then each change as it comes. It may be killed at any time: rows and the position are written by one transaction.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"log"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

//go:embed schema.sql
var tables string

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: postgres CLOUD")
	}
	for { // whatever goes wrong, the position says where to go on
		log.Print(follow(context.Background(), os.Args[1], "FACTRO_STATE_"+strings.ToUpper(os.Args[1])))
		time.Sleep(time.Second)
	}
}

// follow writes what the bucket has after the position into the tables. It returns when something goes wrong.
func follow(ctx context.Context, cloud, bucket string) error {
	db, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	// A second process for the cloud waits here until the first one is gone.
	if _, err := db.Exec(ctx, `SELECT pg_advisory_lock(hashtext('factro ' || $1));`+tables, pgx.QueryExecModeSimpleProtocol, cloud); err != nil {
		return err
	}
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	stream, err := js.Stream(ctx, "KV_"+bucket)
	if err != nil {
		return err
	}
	made, revision, snapshot, whole, batch := stream.CachedInfo().Created, uint64(0), 0, false, new(pgx.Batch)
	// The revisions of another bucket, or of an older backup of this one, mean nothing here: a new snapshot begins.
	batch.Queue(`INSERT INTO factro_position AS p (cloud, bucket) VALUES ($1, $2) ON CONFLICT (cloud) DO UPDATE
		SET bucket = $2, revision = 0, snapshot = p.snapshot + 1, whole = false WHERE p.bucket <> $2 OR p.revision > $3`,
		cloud, made.String(), stream.CachedInfo().State.LastSeq)
	batch.Queue(`SELECT revision, snapshot, whole FROM factro_position WHERE cloud = $1`, cloud).
		QueryRow(func(row pgx.Row) error { return row.Scan(&revision, &snapshot, &whole) })
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	log.Printf("%s: snapshot %d, after revision %d", bucket, snapshot, revision)
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"$KV." + bucket + "." + cloud + ".*.*"}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: revision + 1,
	})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	for batch = new(pgx.Batch); ; {
		var pending uint64
		msg, err := messages.Next(jetstream.NextMaxWait(time.Second))
		if err == nil {
			revision, pending = queue(batch, msg, snapshot)
		} else if !errors.Is(err, nats.ErrTimeout) {
			return err
		}
		if pending > 0 && batch.Len() < 500 {
			continue // what comes at once is one transaction
		}
		now, infoErr := stream.Info(ctx)
		if infoErr != nil || !now.Created.Equal(made) {
			return errors.Join(errors.New(bucket+" is away, or it was made again"), infoErr)
		}
		if all := err == nil && pending == 0 || now.State.Msgs == 0; all && !whole {
			whole = true // what the snapshot did not have is gone
			batch.Queue(`DELETE FROM factro_object WHERE cloud = $1 AND snapshot < $2`, cloud, snapshot)
		}
		if batch.Len() > 0 {
			batch.Queue(`UPDATE factro_position SET revision = $2, whole = $3 WHERE cloud = $1`, cloud, revision, whole)
			if err := db.SendBatch(ctx, batch).Close(); err != nil { // in one transaction
				return err
			}
			batch = new(pgx.Batch)
		}
	}
}

// queue adds what the message does to its row. It returns the revision of the message, and how many come after it.
func queue(batch *pgx.Batch, msg jetstream.Msg, snapshot int) (revision, pending uint64) {
	meta, _ := msg.Metadata() // each message of a consumer has it
	key := strings.Split(msg.Subject(), ".")[2:]
	if msg.Headers().Get("KV-Operation") != "" {
		batch.Queue(`DELETE FROM factro_object WHERE cloud = $1 AND resource = $2 AND id = $3`, key[0], key[1], key[2])
	} else {
		batch.Queue(`INSERT INTO factro_object VALUES ($1, $2, $3, $4, NULLIF($5, '')::timestamptz, $6, $7) ON CONFLICT (cloud, resource, id) DO UPDATE
			SET object = excluded.object, read_at = excluded.read_at, revision = excluded.revision, snapshot = excluded.snapshot`,
			key[0], key[1], key[2], strings.ToValidUTF8(string(msg.Data()), "\uFFFD"), msg.Headers().Get("Factro-Read-At"), meta.Sequence.Stream, snapshot)
	}
	return meta.Sequence.Stream, meta.NumPending
}

package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

const cloud = "acme"

// object is an object as the table and the bucket have it.
type object struct {
	text     string
	revision uint64
	readAt   string
}

// written is what the mirror wrote of a key: an object, or that it is gone.
type written struct {
	key string
	object
	gone bool
}

// mirror writes the bucket as the bridge does.
type mirror struct {
	server *natstest.Server
	nc     *nats.Conn
	js     jetstream.JetStream
	bucket string

	mu  sync.Mutex
	all []written
}

func startMirror(t *testing.T) *mirror {
	t.Helper()
	m := &mirror{server: natstest.Start(t), bucket: change.Bucket("factro", cloud)}
	m.nc, m.js = m.server.Connect(t)
	m.makeBucket(t)
	return m
}

func (m *mirror) makeBucket(t *testing.T) {
	t.Helper()
	if _, err := m.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: m.bucket, History: 1}); err != nil {
		t.Fatal(err)
	}
}

func (m *mirror) makeBucketAgain(t *testing.T) {
	t.Helper()
	if err := m.js.DeleteKeyValue(t.Context(), m.bucket); err != nil {
		t.Fatal(err)
	}
	m.makeBucket(t)
}

func (m *mirror) put(t *testing.T, resource, id, text string) {
	t.Helper()
	m.write(t, written{key: change.Key(cloud, resource, id), object: object{text: text}})
}

func (m *mirror) remove(t *testing.T, resource, id string) {
	t.Helper()
	m.write(t, written{key: change.Key(cloud, resource, id), gone: true})
}

// write stores an entry with its headers. While the server is away it tries again.
func (m *mirror) write(t *testing.T, w written) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	w.readAt = time.Now().UTC().Format(time.RFC3339Nano)
	msg := nats.NewMsg("$KV." + m.bucket + "." + w.key)
	msg.Header.Set(change.HeaderReadAt, w.readAt)
	msg.Header.Set(change.HeaderOrigin, change.OriginEvent)
	msg.Header.Set(change.HeaderCause, "event-"+fmt.Sprint(len(m.all)))
	msg.Header.Set(nats.MsgIdHdr, fmt.Sprint(len(m.all))) // so that what is sent again is stored once
	if w.gone {
		msg.Header.Set("KV-Operation", "DEL")
		msg.Header.Set(change.HeaderStatus, "404")
	} else {
		msg.Data = []byte(w.text)
	}
	natstest.Eventually(t, "the entry is stored", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ack, err := m.js.PublishMsg(ctx, msg)
		if err == nil {
			w.revision = ack.Sequence
		}
		return err == nil
	})
	m.all = append(m.all, w)
}

// objects is what the bucket has.
func (m *mirror) objects(t *testing.T) map[string]object {
	t.Helper()
	kv, err := m.js.KeyValue(t.Context(), m.bucket)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := kv.WatchAll(t.Context(), jetstream.IgnoreDeletes())
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop() //nolint:errcheck // it is read to its end
	all := map[string]object{}
	for entry := range watch.Updates() {
		if entry == nil { // that was all there is
			break
		}
		all[entry.Key()] = object{text: strings.ToValidUTF8(string(entry.Value()), "\uFFFD"), revision: entry.Revision()}
	}
	return all
}

// table is what the database has, at one moment.
type table struct {
	objects  map[string]object
	revision uint64
	snapshot int
	whole    bool
}

func (d *database) table(t *testing.T) table {
	t.Helper()
	got := table{objects: map[string]object{}}
	err := pgx.BeginTxFunc(t.Context(), d.conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		err := tx.QueryRow(t.Context(), `SELECT revision, snapshot, whole FROM factro_position`).Scan(&got.revision, &got.snapshot, &got.whole)
		if err != nil {
			return err
		}
		rows, err := tx.Query(t.Context(), `SELECT cloud, resource, id, object::text, revision, read_at FROM factro_object`)
		if err != nil {
			return err
		}
		var of, resource, id string
		var o object
		var at *time.Time
		_, err = pgx.ForEachRow(rows, []any{&of, &resource, &id, &o.text, &o.revision, &at}, func() error {
			o.readAt = ""
			if at != nil {
				o.readAt = at.UTC().Format(time.RFC3339)
			}
			got.objects[of+"."+resource+"."+id] = o
			return nil
		})
		return err
	})
	if err != nil && !strings.Contains(err.Error(), "no rows") && !strings.Contains(err.Error(), "does not exist") {
		t.Fatal(err)
	}
	return got
}

// wantSame waits until the table has what the bucket has, and returns it.
func wantSame(t *testing.T, d *database, m *mirror) (got table) {
	t.Helper()
	var want map[string]object
	ok := natstest.Within(func() bool {
		got, want = d.table(t), m.objects(t)
		return got.whole && maps.EqualFunc(got.objects, want, func(a, b object) bool { return a.text == b.text && a.revision == b.revision })
	})
	if !ok {
		t.Fatalf("the table has %d objects up to revision %d, whole: %t; the bucket has %d:\n%v\n%v",
			len(got.objects), got.revision, got.whole, len(want), got.objects, want)
	}
	return got
}

// wantConsistent checks that the position does not promise more than the rows have, nor less.
func wantConsistent(t *testing.T, got table, m *mirror) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	last, byRevision := map[string]written{}, map[uint64]written{}
	for _, w := range m.all {
		last[w.key], byRevision[w.revision] = w, w
	}
	for key, o := range got.objects {
		if w := byRevision[o.revision]; w.key != key || w.text != o.text || w.gone {
			t.Errorf("the row of %s has revision %d, which is %+v", key, o.revision, w)
		}
		if o.revision > got.revision {
			t.Errorf("the row of %s is of revision %d, the position is %d", key, o.revision, got.revision)
		}
	}
	for key, w := range last {
		if o, there := got.objects[key]; w.revision <= got.revision && (there == w.gone || there && o.revision != w.revision) {
			t.Errorf("the position is %d, and the row of %s is %+v instead of %+v", got.revision, key, o, w)
		}
	}
}

// scribble writes at random until the context ends.
func (m *mirror) scribble(ctx context.Context, t *testing.T, random *rand.Rand) {
	t.Helper()
	for n := 0; ctx.Err() == nil; n++ {
		resource, id := []string{"task", "package", "project"}[random.IntN(3)], fmt.Sprint(random.IntN(30))
		if random.IntN(4) == 0 {
			m.remove(t, resource, id)
		} else {
			m.put(t, resource, id, fmt.Sprintf(`{"id": %q, "title": "Prüfung %d"}`, id, n))
		}
		if random.IntN(20) == 0 { // now and then the program has read everything
			time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
		}
	}
}

// The program is killed at random moments, while the mirror writes and its servers restart. In the end the table is what the bucket is.
func TestKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	const kills = 30
	d, m := newDatabase(t, true), startMirror(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() { m.scribble(ctx, t, rand.New(rand.NewPCG(seed, 1))) })
	defer writer.Wait()
	defer cancel()
	moved := map[uint64]bool{}
	for i := range kills {
		p := startProgram(t, d, m.server)
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond) // no event to wait for: the moment is to be any
		switch i {
		case kills / 3:
			d.stop()
			d.startAgain(t)
		case kills * 2 / 3:
			m.server.Restart()
		}
		p.kill()
		got := d.table(t)
		moved[got.revision] = true
		wantConsistent(t, got, m)
	}
	cancel()
	writer.Wait()
	startProgram(t, d, m.server)
	got := wantSame(t, d, m)
	wantConsistent(t, got, m)
	t.Logf("%d entries, %d objects, %d of %d kills after progress", len(m.all), len(got.objects), len(moved)-1, kills)
	if got.snapshot != 1 || len(moved) < kills/3 {
		t.Errorf("snapshot %d, want 1; %d positions", got.snapshot, len(moved))
	}
}

// The servers restart under a program that goes on.
func TestServersRestart(t *testing.T) {
	t.Parallel()
	d, m := newDatabase(t, true), startMirror(t)
	m.put(t, "task", "1", `{"title":"eins"}`)
	startProgram(t, d, m.server)
	wantSame(t, d, m)
	d.stop()
	m.put(t, "task", "1", `{"title":"zwei"}`)
	d.startAgain(t)
	wantSame(t, d, m)
	m.server.Restart()
	m.remove(t, "task", "1")
	m.put(t, "task", "2", `{"title":"drei"}`)
	if got := wantSame(t, d, m); got.snapshot != 1 {
		t.Errorf("snapshot %d, want 1", got.snapshot)
	}
}

// The revisions of a bucket that was made again begin again, too. What it does not have is gone from the table.
func TestBucketMadeAgain(t *testing.T) {
	t.Parallel()
	const before = 20
	for name, entries := range map[string]int{"empty": 0, "shorter": 5, "longer": 50} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/running=%t", name, running), func(t *testing.T) {
				t.Parallel()
				d, m := newDatabase(t, false), startMirror(t)
				for i := range before {
					m.put(t, "task", fmt.Sprint("old-", i), `{"title":"alt"}`)
				}
				p := startProgram(t, d, m.server)
				wantSame(t, d, m)
				if !running {
					p.kill()
				}
				m.makeBucketAgain(t)
				for i := range entries {
					m.put(t, "task", fmt.Sprint("new-", i), `{"title":"neu"}`)
				}
				if !running {
					startProgram(t, d, m.server)
				}
				if got := wantSame(t, d, m); got.snapshot != 2 {
					t.Errorf("snapshot %d, want 2", got.snapshot)
				}
			})
		}
	}
}

// A position beyond the end of the bucket, as after an older backup of it, and one that somebody has reset, begin a new snapshot.
func TestNewSnapshot(t *testing.T) {
	t.Parallel()
	for name, position := range map[string]string{"older backup": `revision = 100`, "reset": `bucket = ''`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, m := newDatabase(t, false), startMirror(t)
			m.put(t, "task", "1", `{"title":"eins"}`)
			p := startProgram(t, d, m.server)
			wantSame(t, d, m)
			p.kill()
			for _, sql := range []string{`UPDATE factro_position SET ` + position, `UPDATE factro_object SET id = '2'`} {
				if _, err := d.conn.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			startProgram(t, d, m.server)
			if got := wantSame(t, d, m); got.snapshot != 2 || got.revision != 1 {
				t.Errorf("snapshot %d at revision %d, want 2 at 1", got.snapshot, got.revision)
			}
		})
	}
}

// Of two processes one works, and the other one takes over.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	d, m := newDatabase(t, false), startMirror(t)
	first := startProgram(t, d, m.server)
	m.put(t, "task", "1", `{"title":"eins"}`)
	wantSame(t, d, m)
	startProgram(t, d, m.server)
	natstest.Eventually(t, "the second process waits", func() bool {
		var waiting int
		if err := d.conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 1
	})
	m.put(t, "task", "2", `{"title":"zwei"}`)
	wantSame(t, d, m)
	first.kill()
	m.remove(t, "task", "1")
	if got := wantSame(t, d, m); got.snapshot != 1 {
		t.Errorf("snapshot %d, want 1", got.snapshot)
	}
}

// No entry stops the program, whatever its text and whoever wrote it. The rows have the time when an object was read.
func TestOddObjects(t *testing.T) {
	t.Parallel()
	d, m := newDatabase(t, false), startMirror(t)
	for i, text := range []string{
		`{"title":"Prüfung \"1\" für 5 % 😀"}`, `{"title":"\u0000"}`, `{"title":"\ud800"}`, "{\"title\":\"\xff\"}", `{}`,
		`{"n":1e400,"n":123456789012345678901234567890}`, `{"title":"` + strings.Repeat("ä", 400_000) + `"}`,
	} {
		m.put(t, "task", fmt.Sprint(i), text)
	}
	// What operators do by hand has no headers.
	kv, err := m.js.KeyValue(t.Context(), m.bucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"by-hand", "purged"} {
		if _, err = kv.PutString(t.Context(), change.Key(cloud, "project", id), `{}`); err != nil {
			t.Fatal(err)
		}
	}
	startProgram(t, d, m.server)
	wantSame(t, d, m)
	if err := kv.Purge(t.Context(), change.Key(cloud, "project", "purged")); err != nil {
		t.Fatal(err)
	}
	got := wantSame(t, d, m)
	for _, w := range m.all {
		if o := got.objects[w.key]; !strings.HasPrefix(w.readAt, strings.TrimSuffix(o.readAt, "Z")) {
			t.Errorf("%s was read at %s, want %s", w.key, o.readAt, w.readAt)
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// What TestMain makes ready.
var (
	binary         string // this program
	postgresBin    string // the folder with PostgreSQL's programs
	postgresAbsent string // why they cannot run, or empty
	shared         *server
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "factro-bridge-postgres-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "postgres")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return fail(fmt.Errorf("%w\n%s", err, out))
	}
	if postgresBin, postgresAbsent = lookForPostgres(); postgresAbsent == "" {
		if shared, err = newServer(); err != nil {
			return fail(err)
		}
		defer shared.remove()
		if err := shared.start(); err != nil {
			return fail(err)
		}
	}
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// lookForPostgres returns the folder with the programs of the newest PostgreSQL, which Debian has outside of the path.
func lookForPostgres() (bin, absent string) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), ""
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is right
	if len(found) == 0 {
		return "", "PostgreSQL is not installed"
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // 0 for a name that is no version
		return n
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(newest), ""
}

// server is a PostgreSQL server that can stop and start again. It listens on a socket of its own and nowhere else.
type server struct {
	dir     string
	as      *syscall.SysProcAttr // whose process it is: the server refuses to be root's
	process *exec.Cmd
}

// newServer returns a server that is not started yet.
func newServer() (*server, error) {
	// A short path, which a socket needs, in a folder that the server's user may use.
	dir, err := os.MkdirTemp("", "pg-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, as: &syscall.SysProcAttr{}}
	if os.Getuid() == 0 {
		const nobody = 65534
		s.as.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return nil, err
		}
	}
	initdb := s.command("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "-D", "data")
	if out, err := initdb.CombinedOutput(); err != nil {
		s.remove()
		return nil, fmt.Errorf("%s: %w\n%s", initdb, err, out)
	}
	return s, nil
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(postgresBin, name), args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = s.dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, s.as
	return cmd
}

// start starts the server and waits until it takes connections.
func (s *server) start() error {
	log, err := os.OpenFile(s.dir+"/log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command("postgres", "-D", "data", "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off")
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	if !natstest.Within(func() bool {
		conn, err := pgx.Connect(context.Background(), s.url("postgres"))
		return err == nil && conn.Close(context.Background()) == nil
	}) {
		return errors.New("PostgreSQL does not start:\n" + s.log())
	}
	return nil
}

// stop ends the server at once, without what it does at a graceful end.
func (s *server) stop() {
	if s.process != nil {
		_ = s.process.Process.Signal(syscall.SIGQUIT)
		_ = s.process.Wait() // it says that it was ended
	}
}

func (s *server) remove() {
	s.stop()
	_ = os.RemoveAll(s.dir)
}

func (s *server) url(database string) string {
	return "host=" + s.dir + " user=postgres dbname=" + database
}

func (s *server) log() string {
	text, _ := os.ReadFile(s.dir + "/log") // for people
	return string(text)
}

// database is an empty database of a test.
type database struct {
	*server
	name    string
	conn    *pgx.Conn
	program string // the log of the programs that use it
}

// databases counts those of the shared server.
var databases atomic.Int32

// newDatabase returns one of the shared server, or of a server that it starts for this test.
func newDatabase(t *testing.T, own bool) *database {
	t.Helper()
	if postgresAbsent != "" {
		t.Skipf("DID NOT RUN: %s, so nothing is proven about examples/postgres", postgresAbsent)
	}
	d := &database{server: shared, name: "postgres", program: filepath.Join(t.TempDir(), "program.log")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the program's log:\n%sPostgreSQL's log:\n%s", d.said(), d.log())
		}
	})
	if own {
		var err error
		if d.server, err = newServer(); err == nil {
			t.Cleanup(d.remove)
			err = d.start()
		}
		if err != nil {
			t.Fatal(err)
		}
		d.connect(t)
		return d
	}
	d.connect(t)
	d.name = fmt.Sprint("test", databases.Add(1))
	if _, err := d.conn.Exec(t.Context(), "CREATE DATABASE "+d.name); err != nil {
		t.Fatal(err)
	}
	d.connect(t)
	return d
}

func (d *database) connect(t *testing.T) {
	t.Helper()
	var err error
	if d.conn, err = pgx.Connect(t.Context(), d.url(d.name)); err != nil {
		t.Fatal(err)
	}
	conn := d.conn
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) //nolint:usetesting // the test is over
}

// startAgain starts a server that was stopped.
func (d *database) startAgain(t *testing.T) {
	t.Helper()
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	d.connect(t)
}

// said returns what the programs of the test have logged.
func (d *database) said() string {
	text, _ := os.ReadFile(d.program) // there may be none
	return string(text)
}

// program is a running copy of ours.
type program struct{ cmd *exec.Cmd }

func startProgram(t *testing.T, d *database, n *natstest.Server) *program {
	t.Helper()
	cmd := exec.Command(binary, cloud)
	cmd.Env = []string{"DATABASE_URL=" + d.url(d.name), "NATS_URL=" + n.URL()}
	log, err := os.OpenFile(d.program, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{cmd}
	t.Cleanup(p.kill)
	return p
}

// kill ends the program at once. It may have ended already.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

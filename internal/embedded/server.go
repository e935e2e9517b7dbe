package embedded

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Config configures a NATS server inside this process.
type Config struct {
	// DataDir is where JetStream keeps its streams.
	DataDir string
	// Listen is the address for other clients, or "" for none.
	Listen string
	// SyncAlways writes every message to disk before it is acknowledged, instead of only handing it to the operating
	// system. It costs most of the throughput and is what a single server needs to survive a power failure.
	SyncAlways bool
	// MaxConnections limits the connections of other clients, 0 for the server's own limit.
	MaxConnections int
	// Hopeless is how long it may store nothing before only a new process may help, 0 for two minutes.
	Hopeless time.Duration
}

// MaxPayload of the embedded server allows a webhook body of the maximum size and its headers.
const MaxPayload = 8 << 20

// Server is an embedded NATS server with JetStream. It can be restarted on the same directory and port; in-process clients
// reconnect.
type Server struct {
	opts     *server.Options
	lock     *os.File // of its directory; nil if the caller holds it
	hopeless time.Duration

	recovery recovery

	mu    sync.RWMutex
	s     *server.Server // nil if it could not be restarted
	words *serverLog     // of s
	over  bool           // whether it was closed for good
}

// Start starts an embedded server and waits until it accepts connections.
func Start(c Config) (*Server, error) {
	opts := &server.Options{
		ServerName: "factro-bridge-embedded",
		JetStream:  true, StoreDir: c.DataDir, SyncAlways: c.SyncAlways,
		MaxPayload: MaxPayload, DontListen: c.Listen == "", MaxConn: c.MaxConnections,
		NoLog: true, NoSigs: true,
	}
	if c.Listen != "" {
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen address of the embedded NATS server: %w", err)
		}
		opts.Host = host
		if opts.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("listen address of the embedded NATS server: port: %w", err)
		}
		if opts.Port == 0 {
			opts.Port = server.RANDOM_PORT
		}
	}
	lock, err := LockDir(c.DataDir)
	if err != nil && !errors.Is(err, ErrNoLock) {
		return nil, fmt.Errorf("nats.embedded.data_dir: %w", err)
	}
	s, err := Open(opts)
	if err != nil {
		return nil, errors.Join(err, UnlockDir(lock))
	}
	s.lock, s.hopeless = lock, c.Hopeless
	return s, nil
}

// Open starts a server with the given options on a directory that the caller has locked.
func Open(opts *server.Options) (*Server, error) {
	s := &Server{opts: opts}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) start() error {
	if err := CheckTree(s.opts.StoreDir); err != nil {
		return fmt.Errorf("embedded NATS server: %w", err)
	}
	ns, err := server.NewServer(s.opts.Clone())
	if err != nil {
		return fmt.Errorf("embedded NATS server: %w", err)
	}
	words := &serverLog{}
	ns.SetLogger(words, false, false)
	ns.Start()
	if why := words.fatal.Load(); why != nil { // it would never be ready
		ns.Shutdown()
		return fmt.Errorf("embedded NATS server: %s", *why)
	}
	if !ns.ReadyForConnections(10 * time.Second) {
		ns.Shutdown()
		return errors.New("embedded NATS server: was not ready within 10 s; is its data directory locked, or its port in use?")
	}
	if a, ok := ns.Addr().(*net.TCPAddr); ok {
		s.opts.Port = a.Port // a random port is kept, so that clients can reconnect
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		ns.Shutdown()
		return errServerDown
	}
	s.s, s.words = ns, words
	return nil
}

// Current is the running server, nil if there is none.
func (s *Server) Current() *server.Server {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.s
}

// InProcessConn is a connection for a client in this process.
func (s *Server) InProcessConn() (net.Conn, error) {
	ns := s.Current()
	if ns == nil {
		return nil, errServerDown
	}
	return ns.InProcessConn() //nolint:wrapcheck // it is the server's own error
}

// URL is where other clients reach the server, or "" if it does not listen.
func (s *Server) URL() string {
	ns := s.Current()
	if ns == nil || ns.Addr() == nil {
		return ""
	}
	return ns.ClientURL()
}

// stopTimeout limits how long to wait for a server that stops. With a hanging disk it never does.
const stopTimeout = 10 * time.Second

// Close stops the server and waits until its files are closed.
func (s *Server) Close() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.Stop(stopTimeout)
	_ = UnlockDir(s.lock) // it ends with the process in any case
}

// Stop stops the server and reports whether its files were closed in time. With a hanging disk they may not be.
func (s *Server) Stop(most time.Duration) bool {
	ns := s.Current()
	if ns == nil {
		return true
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ns.Shutdown()
		ns.WaitForShutdown()
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// restart restarts the server. It is the only way to reopen a stream that the server has given up.
func (s *Server) restart() error {
	if !s.Stop(stopTimeout) {
		return errors.New("embedded NATS server: it does not stop, so it cannot be restarted")
	}
	s.mu.Lock()
	s.s = nil
	s.mu.Unlock()
	return s.start()
}

// fault is why the server stores nothing, if it has logged a reason.
func (s *Server) fault() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.s == nil:
		return errServerDown
	case s.words.fault.Load() != nil:
		return errors.New(*s.words.fault.Load())
	case !s.s.JetStreamEnabled():
		return errors.New("JetStream has switched itself off")
	}
	return nil
}

var errServerDown = errors.New("the embedded NATS server does not run")

// serverLog is the log of an embedded server. It is read for two things: why the server does not start, and that it has
// stopped storing. After one disk error, a stream refuses everything permanently and answers nobody.
type serverLog struct{ fatal, fault atomic.Pointer[string] }

// faults are how the server's messages begin when it gives up a stream, a consumer or all of JetStream.
var faults = []string{"Critical write error", "JetStream failed to store a msg", "JetStream out of resources", "disabling JetStream"}

// Fatalf keeps the message after which a separate server process would exit.
func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &text)
}

// Errorf and Warnf keep messages that the server has stopped storing.
func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	for _, f := range faults {
		if strings.Contains(text, f) {
			l.fault.CompareAndSwap(nil, &text)
		}
	}
}
func (l *serverLog) Warnf(format string, v ...any) { l.Errorf(format, v...) }

// Noticef and the others drop other messages.
func (*serverLog) Noticef(string, ...any) {}
func (*serverLog) Debugf(string, ...any)  {}
func (*serverLog) Tracef(string, ...any)  {}

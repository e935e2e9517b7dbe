package natstest

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/factro-bridge/factro-bridge/tests/freeport"
)

// Cluster is three servers, so that a stream with three replicas survives the loss of one.
type Cluster struct {
	Members [3]*Server
}

// StartCluster starts three servers and waits until they have a leader.
func StartCluster(t testing.TB, change ...func(*server.Options)) *Cluster {
	t.Helper()
	c := NewCluster(t, change...)
	var all sync.WaitGroup
	for _, m := range c.Members {
		all.Go(m.Start)
	}
	all.Wait()
	Eventually(t, "the cluster has a leader", func() bool { return c.Leader("") != nil })
	return c
}

// NewCluster returns three servers that are not started yet.
func NewCluster(t testing.TB, change ...func(*server.Options)) *Cluster {
	t.Helper()
	c := &Cluster{}
	var routes []*url.URL
	var ports [3]int
	for i := range ports {
		var err error
		if ports[i], err = freeport.New(); err != nil {
			t.Fatal(err)
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", ports[i])})
	}
	for i := range c.Members {
		member := func(o *server.Options) {
			o.ServerName = fmt.Sprintf("n%d", i)
			o.Cluster = server.ClusterOpts{Name: "c", Host: "127.0.0.1", Port: ports[i]}
			o.Routes = routes
			o.LameDuckDuration, o.LameDuckGracePeriod = 50*time.Millisecond, 10*time.Millisecond
		}
		c.Members[i] = New(t, append([]func(*server.Options){member}, change...)...)
	}
	return c
}

// Leader is the member that leads a stream, or the cluster itself if the stream is "". It is nil while there is none.
func (c *Cluster) Leader(stream string) *Server {
	for _, m := range c.Members {
		if m.Running != nil && (stream == "" && m.Running.JetStreamIsLeader() ||
			stream != "" && m.Running.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream)) {
			return m
		}
	}
	return nil
}

// URLs are the addresses of all members.
func (c *Cluster) URLs() string {
	return strings.Join([]string{c.Members[0].URL(), c.Members[1].URL(), c.Members[2].URL()}, ",")
}

// Connect connects a client of the test's own, which knows all members.
func (c *Cluster) Connect(t testing.TB, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return connect(t, c.URLs(), options...)
}

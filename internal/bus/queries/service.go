package queries

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// service shows the queries of a cloud as a NATS service, one endpoint for each operation, so that "nats micro ls", "info"
// and "stats" know them.
//
// The protocol is that of the client's package micro, and so are the types; the serving is ours. There, an endpoint works
// on one request at a time, and counts it when its handler returns. A handler that works in the background, so that a
// slow list does not delay the next request, would be counted as quick and never failing.
type service struct {
	info  micro.Info
	began time.Time

	mu    sync.Mutex
	stats map[string]*micro.EndpointStats // by operation
}

func newService(p events.Prefix, s Service) *service {
	v := &service{began: time.Now().UTC(), stats: map[string]*micro.EndpointStats{}, info: micro.Info{
		ServiceIdentity: micro.ServiceIdentity{
			Name: string(p) + "-query-" + s.Cloud, ID: rand.Text(), Version: semantic(s.Version),
			Metadata: map[string]string{"cloud": s.Cloud, "version": s.Version},
		},
		Type: micro.InfoResponseType, Description: "Reads of factro's Core API for the cloud " + s.Cloud,
	}}
	for _, e := range s.Endpoints {
		subject := p.Query(s.Cloud, e.Resource, e.Operation)
		v.info.Endpoints = append(v.info.Endpoints, micro.EndpointInfo{
			Name: e.Operation, Subject: subject, QueueGroup: Queue, Metadata: e.Metadata,
		})
		v.stats[e.Operation] = &micro.EndpointStats{Name: e.Operation, Subject: subject, QueueGroup: Queue}
	}
	return v
}

// versionForm is the form that NATS services require of a version. A build between releases has no such version.
var versionForm = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)

func semantic(version string) string {
	if len(version) > 1 && version[0] == 'v' {
		version = version[1:]
	}
	if versionForm.MatchString(version) {
		return version
	}
	return "0.0.0"
}

// requests are the subjects of requests about the service, each with the function that answers it.
func (v *service) requests() map[string]func() any {
	all := map[string]func() any{}
	for verb, describe := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: v.info.ServiceIdentity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return v.info },
		micro.StatsVerb: func() any { return v.statistics() },
	} {
		subject := fmt.Sprintf("%s.%s", micro.APIPrefix, verb)
		all[subject] = describe                                               // to all services
		all[subject+"."+v.info.Name] = describe                               // to those of this name
		all[subject+"."+v.info.Name+"."+v.info.ServiceIdentity.ID] = describe // to this one
	}
	return all
}

// statistics are those up to now.
func (v *service) statistics() micro.Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := micro.Stats{ServiceIdentity: v.info.ServiceIdentity, Type: micro.StatsResponseType, Started: v.began}
	for _, e := range v.info.Endpoints {
		have := *v.stats[e.Name]
		out.Endpoints = append(out.Endpoints, &have)
	}
	return out
}

// count adds an answer to the statistics of its operation. An unknown operation has none.
func (v *service) count(operation string, took time.Duration, a Answer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.stats[operation]
	if s == nil {
		return
	}
	s.NumRequests++
	s.ProcessingTime += took
	s.AverageProcessingTime = s.ProcessingTime / time.Duration(s.NumRequests)
	if a.Error != nil {
		s.NumErrors++
		s.LastError = fmt.Sprintf("%d:%s", a.Status, oneLine(a.Error.Message))
	}
}

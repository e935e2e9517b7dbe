package ingress

import (
	"net/http"
	"time"
)

// http2 bounds what one connection of HTTP/2 can take. The defaults are a megabyte for a frame and one for what arrives and
// is not read yet, which with a thousand connections is more than the bridge has.
func (s *Server) http2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 32, MaxReadFrameSize: 16 << 10,
		MaxReceiveBufferPerConnection: 128 << 10, MaxReceiveBufferPerStream: 64 << 10,
		MaxDecoderHeaderTableSize: 4 << 10, MaxEncoderHeaderTableSize: 4 << 10,
		WriteByteTimeout: answerTimeout,
	}
}

// due says whether a case of a cloud and a kind is to be logged. All are counted.
func (s *Server) due(c *cloud, kind string) (skipped int, due bool) {
	return s.samples.Due(c.Name+" "+kind, time.Now())
}

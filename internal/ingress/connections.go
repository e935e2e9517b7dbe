package ingress

import (
	"net/http"
	"time"
)

// http2 limits what one connection of HTTP/2 can use. The defaults, a megabyte for a frame and one for data that has
// arrived and is not read yet, would be more than the bridge's memory at a thousand connections.
func (s *Server) http2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 32, MaxReadFrameSize: 16 << 10,
		MaxReceiveBufferPerConnection: 128 << 10, MaxReceiveBufferPerStream: 64 << 10,
		MaxDecoderHeaderTableSize: 4 << 10, MaxEncoderHeaderTableSize: 4 << 10,
		WriteByteTimeout: answerTimeout,
	}
}

// due reports whether to log a case of this cloud and kind. All are counted.
func (s *Server) due(c *cloud, kind string) (skipped int, due bool) {
	return s.samples.Due(c.Name+" "+kind, time.Now())
}

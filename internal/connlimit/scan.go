package connlimit

import (
	"bytes"
	"sync/atomic"
)

// scanner searches the header of each request that a connection reads for a line that begins with Content-Length. It needs
// no buffer. It does not see a request that arrived together with the one before it.
type scanner struct {
	matched int         // bytes of the name, -1 if the line is another one
	body    atomic.Bool // whether the header is over
	found   atomic.Bool
}

const lengthName = "content-length"

// reset is called at the end of a request.
func (s *scanner) reset() {
	s.body.Store(false)
	s.found.Store(false)
}

// see scans the next bytes.
func (s *scanner) see(p []byte) {
	for len(p) > 0 && !s.body.Load() {
		if s.matched < 0 { // skip the rest of the line
			end := bytes.IndexByte(p, '\n')
			if end < 0 {
				return
			}
			p = p[end:]
		}
		s.next(p[0])
		p = p[1:]
	}
}

func (s *scanner) next(b byte) {
	switch {
	case b == '\n':
		s.body.Store(s.matched == 0) // an empty line
		s.matched = 0
	case b == '\r' && s.matched == 0:
	case s.matched == len(lengthName):
		if b == ':' || b == ' ' || b == '\t' {
			s.found.Store(true)
		}
		s.matched = -1
	case b|0x20 == lengthName[s.matched]:
		s.matched++
	default:
		s.matched = -1
	}
}

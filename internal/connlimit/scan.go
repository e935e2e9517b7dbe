package connlimit

import (
	"bytes"
	"sync/atomic"
)

// scanner looks for a line that begins with Content-Length in the header of each request that a connection reads. It needs no
// memory of its own. Of a request that came together with the one before it, it has seen nothing.
type scanner struct {
	matched int         // bytes of the name, -1 if the line begins with something else
	body    atomic.Bool // whether the header is over
	found   atomic.Bool
}

const lengthName = "content-length"

// reset is called when a request is over.
func (s *scanner) reset() {
	s.body.Store(false)
	s.found.Store(false)
}

// see looks at what comes next.
func (s *scanner) see(p []byte) {
	for len(p) > 0 && !s.body.Load() {
		if s.matched < 0 { // the rest of the line is of no interest
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

package bodies

import (
	"fmt"
	"testing"

	"github.com/factro-bridge/factro-bridge/internal/identity"
)

// Beyond the stream's window a process still knows which body came first.
func TestMemory(t *testing.T) {
	t.Parallel()
	var s Memory
	for _, body := range []string{"1", "2", "1"} { // also when it comes again
		if s.First("a", []byte(body)) != (body == "1") {
			t.Errorf("%s is not distinguished from the first body", body)
		}
	}
	for i := range 3 * minBodies {
		s.First(fmt.Sprint(i), []byte("x"))
		if i%1000 == 0 && s.First("a", []byte("2")) { // asked for now and then
			t.Fatalf("forgotten after %d", i)
		}
	}
	if len(s.now)+len(s.old) > 2*minBodies {
		t.Errorf("%d ids are held", len(s.now)+len(s.old))
	}
}

// What the stream has counts: its body is the first one, or nobody knows which.
func TestCorrect(t *testing.T) {
	t.Parallel()
	var s Memory
	s.Correct("a", identity.BodyDigest([]byte("1"))) // of an id that never came
	s.First("a", []byte("2"))
	s.Correct("a", identity.BodyDigest([]byte("1")))
	if !s.First("a", []byte("1")) || s.First("a", []byte("2")) {
		t.Error("the body that the stream has does not count as the first")
	}
	s.Correct("a", "")
	if !s.First("a", []byte("2")) {
		t.Error("what the stream does not know is remembered all the same")
	}
}

package upload

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestFileOfAnotherSize: of a file that is longer or shorter than announced the form never ends, so factro cannot take a part for the
// whole.
func TestFileOfAnotherSize(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]error{2: errNotItsSize, 5: nil, 8: errNotItsSize} {
		f := &File{Size: size}
		s := &source{ctx: t.Context(), r: strings.NewReader("hallo"), file: f, left: f.Size, alive: func() {}}
		got, err := io.ReadAll(s)
		if !errors.Is(err, want) || int64(len(got)) > size {
			t.Errorf("%d bytes: %q, %v", size, got, err)
		}
		if failed := f.failed.Load(); (failed != nil) != (want != nil) {
			t.Errorf("%d bytes: noted is %v", size, failed)
		}
	}
}

package embedded

import (
	"context"
	"fmt"

	"golang.org/x/sync/singleflight"
)

// Space asks file systems for their free space. A file system that hangs is asked once, and all callers in the meantime
// wait for the same answer, as long as their contexts allow.
type Space struct {
	free  func(dir string) (int64, error)
	group *singleflight.Group
}

// NewSpace takes the function that asks, such as [FreeSpace].
func NewSpace(free func(dir string) (int64, error)) Space {
	return Space{free, &singleflight.Group{}}
}

// Of returns how many bytes are available in a directory.
func (s Space) Of(ctx context.Context, dir string) (int64, error) {
	asked := s.group.DoChan(dir, func() (any, error) { return s.free(dir) })
	select {
	case answer := <-asked:
		if answer.Err != nil {
			return 0, answer.Err
		}
		return answer.Val.(int64), nil //nolint:errcheck // it is what free returns
	case <-ctx.Done():
		return 0, fmt.Errorf("free space of %s: the file system does not answer: %w", dir, ctx.Err())
	}
}

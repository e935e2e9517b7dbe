package natstest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// Example returns what a server of an example takes for its test, since examples have none. A failure is a panic. end does
// what the end of a test does.
func Example() (t testing.TB, end func()) {
	e := &example{}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e, e.end
}

// example has the methods of testing.TB that this package calls. Each other one panics.
type example struct {
	testing.TB

	ctx      context.Context //nolint:containedctx // it is that of the test
	cancel   context.CancelFunc
	cleanups []func()
}

func (*example) Helper() {}

func (e *example) Context() context.Context { return e.ctx }

func (*example) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func (*example) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (e *example) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

func (e *example) TempDir() string {
	dir, err := os.MkdirTemp("", "natstest-")
	if err != nil {
		panic(err)
	}
	e.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (e *example) end() {
	e.cancel()
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
}

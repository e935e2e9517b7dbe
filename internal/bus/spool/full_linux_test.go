package spool

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/bus/bustest"
	"github.com/factro-bridge/factro-bridge/internal/natstest"
)

// smallDisk is set for the process that has a small file system of its own, to the directory where it is to be.
const smallDisk = "FACTRO_BRIDGE_TEST_SMALL_DISK"

// TestSpoolDiskFull: a disk that is really full is an error and never an acceptance; what was accepted is still there, and
// when there is space again the spool works again. A small file system needs a name space of its own, which a process
// gets at its start only, so the test runs itself once more.
func TestSpoolDiskFull(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(smallDisk); dir != "" {
		diskFull(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSpoolDiskFull$", "-test.v")
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.ProcessState == nil:
		t.Skipf("this system gives no name spaces to its users, so there is no small file system to fill: %v", err)
	case strings.Contains(string(out), "no small file system"):
		t.Skipf("%s", out)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

func diskFull(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		t.Skipf("no small file system: %v", err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	server, b := away(t)
	s := newSpool(t, b, config(filepath.Join(dir, "spool"))) // it believes that there is plenty, so that it meets the end
	bustest.Start(t, s.Run)
	var accepted []string
	publish := func(id string, patience time.Duration) error {
		e := taskEvent(t, id)
		e.DataEncoded = []byte(`"` + strings.Repeat("x", 1<<20-2000) + `"`)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, spooled, err := s.Publish(ctx, task(1), e, "acme."+id)
		if err == nil && spooled {
			accepted = append(accepted, id)
		}
		return err
	}
	var err error
	for n := 0; err == nil; n++ {
		err = publish(fmt.Sprintf("%03d", n), time.Second)
	}
	if n := len(accepted); n < 4 || n > 9 {
		t.Errorf("%d of 1 MiB went into 8 MiB", n)
	}
	if err := publish("never", time.Second); err == nil {
		t.Error("a full disk took a webhook")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "it takes webhooks again", func() bool { return publish("900", 5*time.Second) == nil })
	server.Start()
	natstest.Eventually(t, "the spool is empty", func() bool { return s.queues.waiting() == 0 })
	if _, miss, ok := s.balance(t.Context()); !ok || miss != 0 {
		t.Errorf("%d are missing, %v", miss, ok)
	}
	got := connected(t, server).eventIDs()
	for _, id := range accepted {
		if n := len(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s != id })); n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	if !slices.IsSorted(got) {
		t.Errorf("the order is %v", got)
	}
	t.Logf("%d accepted, %d in the stream", len(accepted), len(got))
}

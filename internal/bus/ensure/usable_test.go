package ensure

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestQueueFull: a full queue of commands is its senders' matter; to be worked off it needs a bridge that is ready.
func TestQueueFull(t *testing.T) {
	t.Parallel()
	info := &jetstream.StreamInfo{Config: jetstream.StreamConfig{Discard: jetstream.DiscardNew, MaxMsgs: 1}, State: jetstream.StreamState{Msgs: 1}}
	if err := usable(info, false); err != nil {
		t.Error(err)
	}
	if err := usable(info, true); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	peers := func(p ...*jetstream.PeerInfo) *jetstream.ClusterInfo {
		return &jetstream.ClusterInfo{Leader: "a", Replicas: p}
	}
	here, gone, silent := &jetstream.PeerInfo{}, &jetstream.PeerInfo{Offline: true}, &jetstream.PeerInfo{Active: time.Minute}
	for name, test := range map[string]struct {
		cluster *jetstream.ClusterInfo
		want    error
	}{
		"alone":              {nil, nil},
		"one of one":         {peers(), nil},
		"three of three":     {peers(here, here), nil},
		"two of three":       {peers(here, gone), nil},
		"one of three":       {peers(gone, gone), errNoQuorum},
		"two of three mute":  {peers(silent, gone), errNoQuorum},
		"two of four":        {peers(here, gone, silent), errNoQuorum},
		"three of five":      {peers(here, here, gone, gone), nil},
		"nobody leads":       {&jetstream.ClusterInfo{}, errNoLeader},
		"a leader is enough": {peers(here), nil},
	} {
		if err := usable(&jetstream.StreamInfo{Cluster: test.cluster}, true); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	for version, old := range map[string]bool{
		"2.10.29": true, "2.9.0": true, "1.4.1": true, "2.10.0-RC.1": true, "2.11.0": false, "2.12.2": false, "2.15.2": false, "3.0.0": false, "dev": false, "": false,
	} {
		if err := checkVersion(version); errors.Is(err, errOldServer) != old {
			t.Errorf("%q: %v", version, err)
		}
	}
}

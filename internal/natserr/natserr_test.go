package natserr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// serverCode is an entry of the server's errors.json.
type serverCode struct {
	Constant    string              `json:"constant"`
	Code        int                 `json:"code"`
	ErrorCode   jetstream.ErrorCode `json:"error_code"`
	Description string              `json:"description"`
}

func serverCodes(t *testing.T) []serverCode {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/nats-io/nats-server/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "server", "errors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []serverCode
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// met are the classes of all codes that a publish, a write of a key-value or object store, or a request for a stream or a
// consumer of the bridge can meet. They are written out: a change of the rule has to show here.
var met = map[jetstream.ErrorCode]Class{
	// Of the store and the account.
	10002: NoRoom, 10005: NoRoom, 10023: NoRoom, 10026: NoRoom, 10027: NoRoom, 10028: NoRoom, 10047: NoRoom, 10120: NoRoom, 10122: NoRoom,
	// Of the cluster, the stream or the consumer at this moment.
	10004: Passing, 10006: Passing, 10007: Passing, 10008: Passing, 10009: Passing, 10010: Passing, 10035: Passing, 10039: Passing,
	10041: Passing, 10048: Passing, 10049: Passing, 10051: Passing, 10053: Passing, 10057: Passing, 10063: Passing, 10075: Passing,
	10076: Passing, 10077: Passing, 10096: Passing, 10104: Passing, 10118: Passing, 10119: Passing, 10158: Passing, 10163: Passing,
	10167: Passing, 10194: Passing, 10195: Passing, 10012: Passing, 10014: Passing, 10059: Passing, 10109: Passing, 10124: Passing,
	10202: Passing, 10226: Passing, 10210: Passing, 10211: Passing,
	// Of the message: its size, its headers, what it expects of the stream.
	10054: Permanent, 10097: Permanent, 10060: Passing, 10070: Permanent, 10071: Permanent, 10164: Permanent, 10165: Permanent,
	10166: Permanent, 10168: Permanent, 10169: Permanent, 10170: Permanent, 10171: Permanent, 10172: Permanent, 10111: Permanent,
	10174: Permanent, 10175: Permanent, 10176: Permanent, 10177: Permanent, 10179: Permanent, 10199: Permanent, 10200: Permanent,
	10201: Permanent, 10188: Permanent, 10189: Permanent, 10190: Permanent, 10191: Permanent, 10192: Permanent, 10193: Permanent,
	10203: Permanent, 10205: Permanent, 10212: Permanent, 10223: Permanent, 10227: Permanent, 10180: Permanent,
	// Of a request that asks for what cannot be.
	10003: Permanent, 10013: Permanent, 10025: Permanent, 10037: Permanent, 10043: Permanent, 10058: Permanent, 10065: Permanent,
	10074: Permanent, 10099: Permanent, 10100: Permanent, 10113: Permanent, 10148: Permanent, 10149: Permanent, 10185: Permanent,
}

// TestEveryCode goes over the server's own list: each code has a class, and each that the bridge can meet has the right one.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	all := serverCodes(t)
	if len(all) < 227 {
		t.Fatalf("the server has %d codes, want at least 227", len(all))
	}
	counts := map[Class]int{}
	seen := map[jetstream.ErrorCode]bool{}
	for _, c := range all {
		err := fmt.Errorf("wrapped: %w", &jetstream.APIError{Code: c.Code, ErrorCode: c.ErrorCode, Description: c.Description})
		class := Of(err)
		counts[class]++
		seen[c.ErrorCode] = true
		if conflict := strings.HasPrefix(c.Description, "wrong last"); Conflict(err) != conflict {
			t.Errorf("%d %s is a conflict: %t", c.ErrorCode, c.Description, !conflict)
		}
		if class == Unknown {
			t.Errorf("%d %s (%d) has no class; is the server newer than the table?", c.ErrorCode, c.Constant, c.Code)
		}
		if want, ok := met[c.ErrorCode]; ok && class != want {
			t.Errorf("%d %s (%d, %s) is %s, want %s", c.ErrorCode, c.Constant, c.Code, c.Description, class, want)
		}
	}
	for code := range met {
		if !seen[code] {
			t.Errorf("the server has no code %d", code)
		}
	}
	for code := range exceptions {
		if !seen[code] {
			t.Errorf("the table has the exception %d, and the server no such code", code)
		}
	}
	t.Logf("%d codes: %d passing, %d no room, %d permanent", len(all), counts[Passing], counts[NoRoom], counts[Permanent])
}

func TestClass(t *testing.T) {
	t.Parallel()
	store := func(why string) error {
		return &jetstream.APIError{Code: 503, ErrorCode: storeFailed, Description: why}
	}
	for name, tt := range map[string]struct {
		err      error
		want     Class
		answered bool
		large    bool
	}{
		"nothing":                {nil, Unknown, true, false},
		"a code of tomorrow":     {&jetstream.APIError{Code: 400, ErrorCode: 10999}, Unknown, true, false},
		"no code":                {&jetstream.APIError{Code: 500}, Unknown, true, false},
		"something else":         {errors.New("what?"), Unknown, true, false},
		"stream is full":         {store("maximum bytes exceeded"), NoRoom, true, false},
		"too many messages":      {store("maximum messages per subject exceeded"), NoRoom, true, false},
		"disk is full":           {store("write x: no space left on device"), NoRoom, true, false},
		"store is closed":        {store("store is closed"), Passing, false, false},
		"beyond the protocol":    {store("message too large"), Permanent, true, false},
		"message too large":      {jetstream.ErrStreamMessageExceedsMaximum, Permanent, true, true},
		"headers too large":      {&jetstream.APIError{Code: 400, ErrorCode: 10097}, Permanent, true, true},
		"beyond max_payload":     {nats.ErrMaxPayload, Permanent, true, true},
		"our limit on headers":   {fmt.Errorf("x: %w", ErrHeader), Permanent, true, true},
		"bad subject":            {nats.ErrBadSubject, Permanent, true, false},
		"sealed":                 {&jetstream.APIError{Code: 400, ErrorCode: 10109}, Passing, true, false},
		"stream is gone":         {jetstream.ErrStreamNotFound, Passing, true, false},
		"no stream answers":      {jetstream.ErrNoStreamResponse, Passing, true, false},
		"no leader":              {&jetstream.APIError{Code: 503, ErrorCode: 10008}, Passing, false, false},
		"time is over":           {context.DeadlineExceeded, Passing, false, false},
		"time-out of the client": {nats.ErrTimeout, Passing, false, false},
		"cancelled":              {context.Canceled, Passing, false, false},
		"connection is away":     {nats.ErrReconnectBufExceeded, Passing, false, false},
		"connection is closed":   {nats.ErrConnectionClosed, Passing, false, false},
		"permission":             {nats.ErrPermissionViolation, Passing, false, false},
		"no responders":          {nats.ErrNoResponders, Passing, false, false},
		"bucket is gone":         {jetstream.ErrBucketNotFound, Passing, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Of(tt.err); got != tt.want {
				t.Errorf("it is %s, want %s", got, tt.want)
			}
			if got := Answered(tt.err); got != tt.answered {
				t.Errorf("answered is %t, want %t", got, tt.answered)
			}
			if got := TooLarge(tt.err); got != tt.large {
				t.Errorf("too large is %t, want %t", got, tt.large)
			}
			if got := NoStream(tt.err); got != (name == "stream is gone") {
				t.Errorf("no stream is %t", got)
			}
		})
	}
}

// TestOutage: what passes by itself is an outage, and what is missing on a broker that answers is none.
func TestOutage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"the connection is away": {fmt.Errorf("x: %w", nats.ErrConnectionReconnecting), true},
		"nobody answers":         {nats.ErrNoResponders, true},
		"too late":               {context.DeadlineExceeded, true},
		"a store that fails":     {&jetstream.APIError{Code: 503, ErrorCode: storeFailed}, true},
		"an election":            {&jetstream.APIError{Code: 503, ErrorCode: 10008}, true},
		"no stream":              {jetstream.ErrStreamNotFound, false},
		"no consumer":            {jetstream.ErrConsumerNotFound, false},
		"a wrong request":        {&jetstream.APIError{Code: 400, ErrorCode: 10025}, false},
		"it was closed":          {nats.ErrConnectionClosed, false},
		"nothing":                {nil, false},
	} {
		if got := Outage(tt.err); got != tt.want {
			t.Errorf("%s: got %t, want %t", name, got, tt.want)
		}
	}
}

package pack_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/factro-bridge/factro-bridge/internal/bus/deadletter/pack"
)

func TestPack(t *testing.T) {
	t.Parallel()
	odd := &nats.Msg{Subject: "a", Header: nats.Header{"\xff": {"\xfe", ""}, "x": {"y"}}, Data: []byte("\n\x00{")}
	content, err := pack.Write(pack.PendingPublish{ID: "1", Msg: odd}, pack.PendingPublish{Msg: &nats.Msg{Subject: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := pack.Read(content)
	if err != nil || len(all) != 2 || all[0].ID != "1" || all[1].Msg.Subject != "b" {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := all[0].Msg; fmt.Sprint(got.Header, string(got.Data), got.Subject) != fmt.Sprint(odd.Header, string(odd.Data), odd.Subject) {
		t.Errorf("it is %+v", got)
	}
	for _, bad := range []string{"x", "{}", "{\"size\":5}\nabc", "{\"size\":-1}\n", "{\"size\":99999999999}\n"} {
		if _, err := pack.Read(strings.NewReader(bad)); !errors.Is(err, pack.ErrFormat) {
			t.Errorf("%q is %v", bad, err)
		}
	}
}

package binding_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/factro-bridge/factro-bridge/pkg/events/internal/binding"
)

// BenchmarkCodec measures an event of ten attributes and 1 KiB of data, beside the SDK's JSON form of it.
func BenchmarkCodec(b *testing.B) {
	e := taskEvent(b)
	e.DataEncoded = []byte(`{"action":"TaskStateChanged","text":"` + strings.Repeat("x", 1024-39) + `"}`)
	for _, enc := range encoders {
		b.Run("encode/"+enc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := enc.encode("factro.event.acme.task.8d3f6c1e.TaskStateChanged", e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("encode/sdk-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(e); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, enc := range encoders {
		m, err := enc.encode("a.b", e)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("decode/"+enc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := binding.FromMsg(m.Header, m.Data); err != nil {
					b.Fatal(err)
				}
			}
		})
		if enc.name != "structured" {
			continue
		}
		b.Run("decode/sdk-json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var e event.Event
				if err := json.Unmarshal(m.Data, &e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := e.Validate(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

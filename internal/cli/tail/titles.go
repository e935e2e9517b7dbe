package tail

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/cli/output"
	"github.com/factro-bridge/factro-bridge/pkg/events/change"
)

const (
	// titleTimeout is how long a message waits for the title of its object.
	titleTimeout = 500 * time.Millisecond
	// titleAge is how long a title is remembered, and how long nobody asks for one where there is no mirror.
	titleAge = 10 * time.Second
	// mostTitles bounds the titles that are remembered.
	mostTitles = 10_000
)

// titles are those of objects, as the mirror has them. It is not safe for concurrent use.
type titles struct {
	state func(context.Context, object) (change.State, error)

	known  map[object]title
	absent map[string]time.Time // clouds that cannot be asked, and since when
}

type title struct {
	text string
	at   time.Time
}

func newTitles(state func(context.Context, object) (change.State, error)) *titles {
	return &titles{state: state, known: map[object]title{}, absent: map[string]time.Time{}}
}

// of is the title of an object, empty if the mirror does not know it.
func (t *titles) of(ctx context.Context, o object) string {
	now := time.Now()
	if o.id == "" || o.resource == "" || now.Sub(t.absent[o.cloud]) < titleAge {
		return ""
	}
	if k, ok := t.known[o]; ok && now.Sub(k.at) < titleAge {
		return k.text
	}
	ctx, cancel := context.WithTimeout(ctx, titleTimeout)
	defer cancel()
	s, err := t.state(ctx, o)
	if err != nil && !errors.Is(err, change.ErrNotFound) {
		t.absent[o.cloud] = now // no mirror, no right, or no answer
		return ""
	}
	if len(t.known) >= mostTitles {
		clear(t.known)
	}
	text := titleIn(s.Data)
	if text != "" { // a new object has one soon
		t.known[o] = title{text, now}
	}
	return text
}

// titleIn is what people call an object.
func titleIn(data []byte) string {
	var o struct{ Title, Name, FirstName, LastName string }
	_ = json.Unmarshal(data, &o) // a field that is no text has no title
	for _, text := range []string{o.Title, o.Name, strings.TrimSpace(o.FirstName + " " + o.LastName)} {
		if text != "" {
			return output.OneLine([]byte(text))
		}
	}
	return ""
}

package pack

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go"
)

// PendingPublish is a message and the id under which it is to be published.
type PendingPublish struct {
	ID  string
	Msg *nats.Msg
}

// A message in an object is a line of JSON with its subject, id and headers, and then its data as it is. Names and values of
// headers are in base64: they can be any bytes, and must come out unchanged.

// head is the line before the data.
type head struct {
	Subject string   `json:"subject"`
	ID      string   `json:"id,omitempty"`
	Size    int      `json:"size"`
	Header  []header `json:"headers"`
}

type header struct {
	Name   []byte   `json:"name"`
	Values [][]byte `json:"values"`
}

// Write returns the content of an object that holds messages, one after the other.
func Write(all ...PendingPublish) (io.Reader, error) {
	var parts []io.Reader
	for _, p := range all {
		line := head{Subject: p.Msg.Subject, ID: p.ID, Size: len(p.Msg.Data)}
		for name, values := range p.Msg.Header {
			h := header{Name: []byte(name)}
			for _, v := range values {
				h.Values = append(h.Values, []byte(v))
			}
			line.Header = append(line.Header, h)
		}
		text, err := json.Marshal(line)
		if err != nil {
			return nil, fmt.Errorf("pack a message: %w", err)
		}
		parts = append(parts, bytes.NewReader(append(text, '\n')), bytes.NewReader(p.Msg.Data))
	}
	return io.MultiReader(parts...), nil
}

// mostPacked bounds the data of a packed message: no server takes a larger one.
const mostPacked = 64 << 20

// ErrFormat says that an object holds something else than packed messages.
var ErrFormat = errors.New("it is not a message that the bridge has packed")

// Read reads the messages of an object that Write has made. It stops after twice the size of the largest message.
func Read(content io.Reader) ([]PendingPublish, error) {
	var all []PendingPublish
	for r := bufio.NewReader(io.LimitReader(content, 2*mostPacked)); ; {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(text) == 0 {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		var line head
		if err := json.Unmarshal(text, &line); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if line.Size < 0 || line.Size > mostPacked {
			return nil, fmt.Errorf("%w: its size is %d", ErrFormat, line.Size)
		}
		msg := &nats.Msg{Subject: line.Subject, Header: nats.Header{}, Data: make([]byte, line.Size)}
		for _, h := range line.Header {
			for _, v := range h.Values {
				msg.Header[string(h.Name)] = append(msg.Header[string(h.Name)], string(v))
			}
		}
		if _, err := io.ReadFull(r, msg.Data); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		all = append(all, PendingPublish{line.ID, msg})
	}
}

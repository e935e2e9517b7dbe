package doctor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/factro-bridge/factro-bridge/internal/config"
	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/lastgood"
	"github.com/factro-bridge/factro-bridge/internal/secret"
	"github.com/factro-bridge/factro-bridge/internal/translate"
)

// CoreAPI asks a cloud in the way in which the bridge asks it: with the same client, which shows no key and follows no redirect.
type CoreAPI struct {
	api *coreapi.API
	key *secret.Reader
}

// NewCoreAPI makes the way to a cloud. It makes no request.
func NewCoreAPI(c config.Config, cloud config.Cloud, version string) (*CoreAPI, error) {
	api, err := coreapi.New(c.APIConfig(cloud, version), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &CoreAPI{api: api, key: secret.NewReader(cloud.API.Key, nil, lastgood.APIKey)}, nil
}

// Ask makes one request, if nothing that factro has answered before speaks against it. It does not read the answer to the end.
func (c *CoreAPI) Ask(ctx context.Context, operation, data string) Answer {
	op, ok := factro.Lookup(operation)
	if !ok {
		return Answer{Err: errors.New("there is no operation " + operation)}
	}
	call, err := translate.Command(op, []byte(data))
	if err != nil {
		return Answer{Err: err}
	}
	key, err := c.key.Get()
	if key == "" {
		return Answer{KeyErr: err}
	}
	if o := c.api.Obstacle(key); o.Code != "" {
		return Answer{Err: errors.New(o.Message()), Key: key}
	}
	out := Answer{Key: key, Began: time.Now()}
	try := coreapi.Attempt{Op: op, Number: 1}
	if operation != first { // a list of everything: its status says enough
		try.Take = func(io.Reader) error { return nil }
	}
	got, _ := c.api.Exchange(ctx, try, call, key)
	out.Took, out.Sent = time.Since(out.Began), !got.Unsent
	if out.Err = got.Err; out.Err != nil {
		return out
	}
	out.Status, out.Header = got.Status, got.Header
	if out.Malformed = got.Malformed != nil; out.Malformed || got.Status/100 != 2 {
		out.Text = got.Text()
	}
	return out
}

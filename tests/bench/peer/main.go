// Command peer is Bento with the components that the benchmark's configurations use, and no others: they are what its
// memory and start would be made of.
package main

import (
	"context"

	_ "github.com/warpstreamlabs/bento/public/components/io"   // http_server, http
	_ "github.com/warpstreamlabs/bento/public/components/nats" // nats_jetstream
	_ "github.com/warpstreamlabs/bento/public/components/pure" // mapping, reject_errored
	"github.com/warpstreamlabs/bento/public/service"
)

func main() { service.RunCLI(context.Background()) }

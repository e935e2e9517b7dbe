//go:build race

package coreapi

import "time"

// The race detector makes reading ten times as slow, so it sees one operation of each way of reading.
var askedOfHostile = []string{"createTask", "listWebhookPayloads"}

const longestHostile = time.Minute

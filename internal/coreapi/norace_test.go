//go:build !race

package coreapi

import "time"

// askedOfHostile are the operations that a hostile server answers, longestHostile is how long any of them may take.
var askedOfHostile = []string{"createTask", "updateTask", "getUserQuota", "listTasks", "listWebhookPayloads"}

const longestHostile = 10 * time.Second

// Package bodies distinguishes webhooks with the same message id.
//
// In come message ids with bodies, and what the stream says about them. Out comes whether a body was the first with its id. It keeps
// digests and no bodies, and never decides what another body is stored as.
package bodies

// Package telemetry starts and stops OpenTelemetry, and makes the log.
//
// In: the standard OTEL_ environment variables. Out: the global tracer and meter providers, the handler of /metrics, and a
// slog handler that adds trace ids. It is the only room that knows the OpenTelemetry SDK; the others use its API.
//
// With nothing configured there is no exporter, no recording and no noise; trace ids are made and passed on all the
// same, so that events and logs can be matched.
package telemetry

// Package telemetry starts and stops OpenTelemetry, and creates the logger.
//
// In: the standard OTEL_ environment variables. Out: the global tracer and meter providers, the handler of /metrics, and a
// slog handler that adds trace ids. Only this package uses the OpenTelemetry SDK; the others use its API.
//
// Without configuration there is no exporter, no recording and no log output; trace ids are still created and passed on, so
// that events and logs can be matched.
package telemetry

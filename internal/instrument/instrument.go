// Package instrument builds the metrics of a package and collects their errors.
//
// In: the name of a meter, and names, units and descriptions of metrics. Out: instruments of the global meter provider, and one
// error for all of them. It knows the API of OpenTelemetry only, never its SDK, and never what is counted.
package instrument

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Builder builds instruments. Use them only if Err is nil.
type Builder struct {
	meter    metric.Meter
	observed []metric.Observable // those that no callback observes yet
	errs     []error
}

// New returns a builder for a meter, whose name is the import path of the package that is measured.
func New(meter string) *Builder { return &Builder{meter: otel.Meter(meter)} }

// Err is what was wrong with any of the instruments.
func (b *Builder) Err() error {
	if len(b.errs) == 0 {
		return nil
	}
	return fmt.Errorf("metrics: %w", errors.Join(b.errs...))
}

// Counter counts what only grows. An empty unit is none.
func (b *Builder) Counter(name, unit, description string) metric.Int64Counter {
	c, err := b.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
	return keep(b, c, err)
}

// UpDownCounter counts what also shrinks.
func (b *Builder) UpDownCounter(name, unit, description string) metric.Int64UpDownCounter {
	c, err := b.meter.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	return keep(b, c, err)
}

// Seconds is a histogram of durations with the upper bounds of its buckets.
func (b *Builder) Seconds(name, description string, bounds []float64) metric.Float64Histogram {
	h, err := b.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
	return keep(b, h, err)
}

// Counts is a histogram of whole numbers with the upper bounds of its buckets.
func (b *Builder) Counts(name, unit, description string, bounds []float64) metric.Int64Histogram {
	h, err := b.meter.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(bounds...))
	return keep(b, h, err)
}

// Gauge is a number that the next Observe observes.
func (b *Builder) Gauge(name, unit, description string) metric.Int64ObservableGauge {
	g, err := b.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	return observable(b, g, err)
}

// FloatGauge is a number with a fraction that the next Observe observes.
func (b *Builder) FloatGauge(name, unit, description string) metric.Float64ObservableGauge {
	g, err := b.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	return observable(b, g, err)
}

// ObservableCounter is a count that somebody else keeps and the next Observe observes.
func (b *Builder) ObservableCounter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := b.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	return observable(b, c, err)
}

// Observe registers the function that observes all observable instruments since the last Observe. The registration is nil if one
// of them cannot be built.
func (b *Builder) Observe(f metric.Callback) metric.Registration {
	observed := b.observed
	b.observed = nil
	if len(b.errs) > 0 {
		return nil
	}
	r, err := b.meter.RegisterCallback(f, observed...)
	return keep(b, r, err)
}

func keep[T any](b *Builder, made T, err error) T {
	if err != nil {
		b.errs = append(b.errs, err)
	}
	return made
}

func observable[T metric.Observable](b *Builder, made T, err error) T {
	b.observed = append(b.observed, made)
	return keep(b, made, err)
}

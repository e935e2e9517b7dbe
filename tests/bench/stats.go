package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// sample is what one run of a contestant has shown. NaN is what was not measured.
type sample struct {
	throughput, perCPU float64 // per second, per CPU-second of its process
	p50, p99           float64 // milliseconds at the fixed rate
	peak               float64 // MiB
	done, stored       int     // answered, and found in the stream afterwards
}

func (s sample) String() string {
	return fmt.Sprintf("%7.0f/s %7.0f/CPU-s  p50 %6.2f ms  p99 %6.2f ms  peak %5.1f MiB  done %d  stored %d",
		s.throughput, s.perCPU, s.p50, s.p99, s.peak, s.done, s.stored)
}

// results are the samples of all rounds.
type results struct {
	names  []string
	rounds []map[string]sample
}

// values are one contestant's figures, round by round.
func (r results) values(name string, of func(sample) float64) []float64 {
	var out []float64
	for _, round := range r.rounds {
		out = append(out, of(round[name]))
	}
	return out
}

// ratios are those of two contestants in each round, so that what slows a whole round down cancels out.
func (r results) ratios(name, base string, of func(sample) float64) []float64 {
	var out []float64
	for _, round := range r.rounds {
		out = append(out, of(round[name])/of(round[base]))
	}
	return out
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile is the smallest value that is not exceeded by p percent of all, in milliseconds.
func percentile(values []time.Duration, p int) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	i := (len(sorted)*p+99)/100 - 1
	return float64(sorted[max(i, 0)]) / float64(time.Millisecond)
}

package main

import (
	"math"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	var values []time.Duration
	for i := 100; i >= 1; i-- {
		values = append(values, time.Duration(i)*time.Millisecond)
	}
	for p, want := range map[int]float64{1: 1, 50: 50, 99: 99, 100: 100} {
		if got := percentile(values, p); got != want {
			t.Errorf("percentile %d is %v, want %v", p, got, want)
		}
	}
	if got := percentile(values[:1], 50); got != 100 {
		t.Errorf("the percentile of one value is %v, want 100", got)
	}
	if got := percentile(nil, 50); !math.IsNaN(got) {
		t.Errorf("the percentile of nothing is %v, want NaN", got)
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	r := results{names: []string{"a", "b"}, rounds: []map[string]sample{
		{"a": {perCPU: 8}, "b": {perCPU: 10}},
		{"a": {perCPU: 3}, "b": {perCPU: 6}}, // a slow round
		{"a": {perCPU: 9}, "b": {perCPU: 10}},
	}}
	perCPU := func(s sample) float64 { return s.perCPU }
	if got := median(r.ratios("a", "b", perCPU)); got != 0.8 {
		t.Errorf("the median of the rounds' ratios is %v, want 0.8", got)
	}
	if got := median(r.values("b", perCPU)); got != 10 {
		t.Errorf("the median is %v, want 10", got)
	}
	if got := median([]float64{1, 2}); got != 1.5 {
		t.Errorf("the median of two is %v, want 1.5", got)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--only", "webhooks"}, {"--rounds", "0"}, {"--api-delay", "-1s"}, {"quick"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	o, err := parse([]string{"--quick", "--only", "command"})
	if err != nil || o.rounds != 1 || o.only != "command" {
		t.Errorf("--quick --only command gives %+v and %v", o, err)
	}
}

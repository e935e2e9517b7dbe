package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// column is one figure of a table.
type column struct {
	title  string
	of     func(sample) float64
	format string
}

// pair is a ratio that is printed below the rows.
type pair struct{ row, base string }

// report prints the tables.
func report(w io.Writer, o options, machine string, idle footprint, webhooks, commands results, waiting []backlog) error {
	text := &strings.Builder{}
	fmt.Fprintf(text, "%s\n\n%d rounds, windows of %d s; medians, and ratios as the median of the rounds' ratios with the lowest and highest.\n",
		machine, o.rounds, o.seconds)
	fmt.Fprintf(text, "\n`bridge run` without traffic holds %.1f MiB %s after it was ready, %.1f MiB of that its own and not the binary's file.\n",
		idle.rss, o.idle, idle.anon)
	if len(webhooks.rounds) > 0 {
		fmt.Fprintf(text, "\nWebhook to stored event: %d bytes, %d connections, latencies at %d webhooks/s.\n\n", len(webhook), o.connections, o.rate)
		table(text, "webhooks", webhooks, []pair{
			{tracedRow, floorRow}, {tracedRow, peerRow}, {untracedRow, floorRow}, {untracedRow, peerRow},
		})
	}
	if len(commands.rounds) > 0 {
		fmt.Fprintf(text, "\nCommand to result: %d commands in the queue, latencies at %d commands/s, calls answered after %s.\n\n",
			o.commands, o.commandRate, o.apiDelay)
		var pairs []pair
		for _, row := range []string{createsRow, createsTracedRow, updatesRow, updatesOfOneRow} {
			for _, base := range []string{floorRow, floorResultRow, floorEightRow, peerRow} {
				pairs = append(pairs, pair{row, base})
			}
		}
		table(text, "commands", commands, pairs)
	}
	if len(waiting) > 0 {
		reportBacklogs(text, waiting)
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// table prints a row for each contestant and one for each ratio.
func table(w io.Writer, unit string, r results, pairs []pair) {
	columns := []column{
		{unit + " per CPU-second", func(s sample) float64 { return s.perCPU }, "%.0f"},
		{unit + " per second", func(s sample) float64 { return s.throughput }, "%.0f"},
		{"p50", func(s sample) float64 { return s.p50 }, "%.2f ms"},
		{"p99", func(s sample) float64 { return s.p99 }, "%.2f ms"},
		{"peak memory", func(s sample) float64 { return s.peak }, "%.1f MiB"},
	}
	line := func(first string, cell func(column) string) {
		cells := []string{first}
		for _, c := range columns {
			cells = append(cells, cell(c))
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	line("", func(c column) string { return c.title })
	fmt.Fprintf(w, "|---|%s\n", strings.Repeat("---:|", len(columns)))
	for _, name := range r.names {
		line(name, func(c column) string { return figure(c.format, median(r.values(name, c.of))) })
	}
	for _, p := range pairs {
		line(fmt.Sprintf("**%s** ÷ %s", p.row, p.base), func(c column) string {
			ratios := r.ratios(p.row, p.base, c.of)
			if math.IsNaN(median(ratios)) {
				return "–"
			}
			return fmt.Sprintf("**%.2f** (%.2f–%.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
		})
	}
}

// figure is a number, or a dash for what was not measured.
func figure(format string, value float64) string {
	if math.IsNaN(value) {
		return "–"
	}
	return fmt.Sprintf(format, value)
}

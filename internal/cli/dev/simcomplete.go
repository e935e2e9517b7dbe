package dev

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim"
)

// completeFault completes a fault of the simulator: first the kind, then the settings.
func completeFault(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	comma := strings.LastIndexByte(toComplete, ',') + 1
	begun := toComplete[:comma]
	var out []string
	switch {
	case comma == 0:
		for _, kind := range sim.FaultKinds() {
			out = append(out, kind.Name+"\t"+kind.Doc)
		}
	case strings.HasPrefix(toComplete[comma:], "op="):
		for _, op := range factro.Operations() {
			out = append(out, begun+"op="+op.Name+"\t"+op.Summary)
		}
	default:
		for _, s := range sim.FaultSettings() {
			if !strings.Contains(begun, ","+s.Name+"=") {
				out = append(out, begun+s.Name+"=\t"+s.Doc)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeSettings completes name=value.
func completeSettings(settings []sim.Named) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, s := range settings {
			if s.Switch {
				out = append(out, s.Name+"=true\t"+s.Doc)
			} else {
				out = append(out, s.Name+"=\t"+s.Doc)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// completeWebhook completes the action at the beginning of a webhook.
func completeWebhook(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	out := []string{"*,\teverything"}
	for _, a := range factro.Actions() {
		out = append(out, a.Name+",")
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

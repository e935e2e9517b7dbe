package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/factro-bridge/factro-bridge/internal/bus"
	"github.com/factro-bridge/factro-bridge/internal/factro"
	"github.com/factro-bridge/factro-bridge/internal/sim"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// completionTime bounds a completion that asks the broker: a shell waits for it. What is found by then is offered, and a failure
// is none of its business.
const completionTime = 800 * time.Millisecond

// within collects what look offers for a bounded time, also if look itself hangs, as in a connection.
func within(ctx context.Context, look func(context.Context, func(string))) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	offers, done := make(chan string), make(chan struct{})
	go func() { // ends with the process, which ends with the completion
		defer close(done)
		look(ctx, func(offer string) {
			select {
			case offers <- offer:
			case <-ctx.Done():
			}
		})
	}()
	var found []string
	for {
		select {
		case offer := <-offers:
			found = append(found, offer)
		case <-done:
			return found
		case <-ctx.Done():
			return found
		}
	}
}

// completeCloud completes the names of clouds: those of the configuration, else those that have streams.
func (f *natsFlags) completeCloud(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return within(cmd.Context(), func(ctx context.Context, offer func(string)) {
		f.look(ctx, func(_ *bus.Client, clouds []string) {
			for _, cloud := range clouds {
				offer(cloud)
			}
		})
	}), cobra.ShellCompDirectiveNoFileComp
}

// look hands over the clouds that there are, and a connection unless the configuration tells them all. Failures are silent.
func (f *natsFlags) look(ctx context.Context, do func(*bus.Client, []string)) {
	if f.configFile != "" {
		if _, err := f.bridgeConfig(); err != nil {
			return
		}
		if clouds, err := f.clouds(ctx, nil); err == nil && f.cloud == "" {
			do(nil, clouds)
			return
		}
	}
	f.connected(ctx, do)
}

// connected is look with a connection in any case.
func (f *natsFlags) connected(ctx context.Context, do func(*bus.Client, []string)) {
	client, err := f.dial()
	if err != nil {
		return
	}
	defer client.Close()
	client.CollectRefusals() // else they are printed
	if clouds, err := f.clouds(ctx, client); err == nil {
		do(client, clouds)
	}
}

// recentLetters is how far back in a cloud's dead letters a completion looks.
const recentLetters = 100

// completeLetters completes the names of dead letters, the newest ones, and the ids of commands that begin as what was typed.
func (f *natsFlags) completeLetters(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if strings.HasPrefix(cmd.Use, "show") && len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.letters(cmd.Context(), func(l bus.DeadLetter, offer func(string)) {
		name := l.Name()
		if f.cloud != "" && !strings.Contains(toComplete, "/") {
			_, name, _ = strings.Cut(name, "/")
		}
		text := strings.Join([]string{what(l), l.Code, l.ID}, " ")
		if !slices.Contains(args, name) && strings.HasPrefix(name, toComplete) {
			offer(name + "\t" + oneLine([]byte(text)))
		}
		if toComplete != "" && l.ID != "" && strings.HasPrefix(l.ID, toComplete) && !slices.Contains(args, l.ID) {
			offer(oneLine([]byte(l.ID)) + "\t" + oneLine([]byte(l.Name()+" "+what(l)+" "+l.Code)))
		}
	}), cobra.ShellCompDirectiveNoFileComp
}

// completeLetterID completes the ids of commands that are dead letters.
func (f *natsFlags) completeLetterID(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return f.letters(cmd.Context(), func(l bus.DeadLetter, offer func(string)) {
		if l.ID != "" {
			offer(oneLine([]byte(l.ID)) + "\t" + oneLine([]byte(what(l)+" "+l.Code)))
		}
	}), cobra.ShellCompDirectiveNoFileComp
}

func (f *natsFlags) letters(ctx context.Context, each func(bus.DeadLetter, func(string))) []string {
	return within(ctx, func(ctx context.Context, offer func(string)) {
		if f.configFile != "" {
			if _, err := f.bridgeConfig(); err != nil {
				return
			}
		}
		p := func() events.Prefix { return events.Prefix(f.prefix) }
		f.connected(ctx, func(client *bus.Client, clouds []string) {
			for _, cloud := range clouds {
				last, err := client.LastLetter(ctx, p(), cloud)
				if err != nil {
					continue
				}
				first := last - min(last, recentLetters) + 1
				_ = client.DeadLetters(ctx, p(), bus.DeadFilter{Cloud: cloud, First: first}, func(l bus.DeadLetter) error {
					each(l, offer)
					return ctx.Err()
				})
			}
		})
	})
}

// completeFault completes a fault of the simulator: its kind, then its settings.
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

// completeWebhook completes the action with which a webhook begins.
func completeWebhook(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	out := []string{"*,\teverything"}
	for _, a := range factro.Actions() {
		out = append(out, a.Name+",")
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// uploads are the files that begin as what was typed behind file=@.
func uploads(begun string) []string {
	dir, base := filepath.Split(begun)
	files, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil
	}
	var out []string
	for _, file := range files {
		name := file.Name()
		if !strings.HasPrefix(name, base) {
			continue
		}
		if file.IsDir() {
			name += string(filepath.Separator)
		}
		out = append(out, dir+name)
	}
	return out
}

// completeFiles makes the shell complete files where a file is wanted, and nowhere else.
func completeFiles(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	anyFile := cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	moments := cobra.FixedCompletions([]string{"1h\tan hour ago", "24h\ta day ago", "7d\ta week ago"}, cobra.ShellCompDirectiveNoFileComp)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.ValidArgsFunction == nil && strings.Contains(cmd.Use, "FILE") {
			cmd.ValidArgsFunction = anyFile
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			kind, _ := pflag.UnquoteUsage(f)
			switch {
			case f.Name == "config":
				_ = cmd.MarkFlagFilename(f.Name, "yaml", "yml")
			case kind == "file":
				_ = cmd.RegisterFlagCompletionFunc(f.Name, anyFile)
			case kind == "directory":
				_ = cmd.MarkFlagDirname(f.Name)
			case kind == "time":
				_ = cmd.RegisterFlagCompletionFunc(f.Name, moments)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

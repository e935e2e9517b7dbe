package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/factro-bridge/factro-bridge/internal/bus/client"
	"github.com/factro-bridge/factro-bridge/internal/bus/lease"
	"github.com/factro-bridge/factro-bridge/internal/cli/connect"
	"github.com/factro-bridge/factro-bridge/internal/natserr"
	"github.com/factro-bridge/factro-bridge/internal/statustext"
	"github.com/factro-bridge/factro-bridge/internal/timetext"
	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/status"
)

func newStatus() *cobra.Command {
	var f connect.Flags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the bridges, which of them works on which cloud, and what waits",
		Long: `Show the bridges that are running, which of them carries out the commands of each cloud and which reconciles it, whether factro
can be reached, what holds commands back, how many commands wait and since when. It changes nothing.

Bridges with the roles egress or reconcile share the clouds evenly: one works on a cloud, the others stand by. A bridge that has
been silent for six seconds is not listed.

What the user may not see is shown as "?", the reason is on standard error, and the exit code is 1. It is 1 as well if nobody
carries out the commands of a cloud.`,
		Example: "  bridge status --config bridge.yaml\n  bridge status --cloud acme --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.Dial()
			if err != nil {
				return err
			}
			defer client.Close()
			client.CollectRefusals()
			clouds, err := f.Clouds(cmd.Context(), client)
			if err != nil {
				return err
			}
			r := look(cmd.Context(), client, events.Prefix(f.Prefix), clouds)
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(r)
			} else {
				err = r.print(cmd.OutOrStdout(), time.Now())
			}
			if err != nil {
				return fmt.Errorf("print the status: %w", err)
			}
			return r.problem()
		},
	}
	f.Add(cmd)
	f.OnlyCloudFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// overview is what bridge status prints.
type overview struct {
	Bridges []bridgeStatus `json:"bridges"`
	Clouds  []cloudStatus  `json:"clouds"`

	errs []error
}

type bridgeStatus struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Roles   []string  `json:"roles"`
	Since   time.Time `json:"since"`
	// Active are the leases that this bridge has, as commands.acme.
	Active []string `json:"active"`
}

// cloudStatus leaves out what is not known.
type cloudStatus struct {
	Cloud string `json:"cloud"`
	// Commands and Reconcile are the bridges that do this; empty if none does.
	Commands  *string           `json:"commands,omitempty"`
	Reconcile *string           `json:"reconcile,omitempty"`
	Factro    *status.Condition `json:"factro,omitempty"`
	// Paused is what holds all commands back although factro can be reached.
	Paused  *status.Condition `json:"paused,omitempty"`
	Waiting *uint64           `json:"waiting,omitempty"`
	Oldest  *time.Time        `json:"oldest,omitempty"`

	held       []string
	unanswered bool // nobody answers the question why its commands wait
}

// look asks all at once, and keeps the errors of what it cannot see.
func look(ctx context.Context, c *client.Client, p events.Prefix, clouds []string) *overview {
	r := &overview{Bridges: []bridgeStatus{}, Clouds: make([]cloudStatus, len(clouds))}
	var mu sync.Mutex
	failed := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		r.errs = append(r.errs, fmt.Errorf("%s: %w", what, c.Why(err, c.Settings().API(""), string(p)+".")))
	}
	var all sync.WaitGroup
	for i, cloud := range clouds {
		r.Clouds[i].Cloud = cloud
		all.Go(func() {
			q, err := c.Queue(ctx, p, cloud)
			if err != nil {
				failed("commands of "+cloud, err)
				return
			}
			r.Clouds[i].Waiting = &q.Waiting
			if !q.Oldest.IsZero() {
				r.Clouds[i].Oldest = &q.Oldest
			}
		})
		all.Go(func() {
			s, err := events.NewClient(c.JetStream(), cloud, events.WithPrefix(p)).Status(ctx, "")
			if r.Clouds[i].unanswered = natserr.NobodyAnswers(err); r.Clouds[i].unanswered {
				return
			}
			if err != nil {
				failed("status of "+cloud, err)
				return
			}
			r.Clouds[i].Factro, r.Clouds[i].Paused, r.Clouds[i].held = &s.Factro, s.Paused, statustext.Held(s)
		})
	}
	standing, err := lease.Look(ctx, c, p)
	all.Wait()
	if err != nil {
		failed("bridges", err)
	} else {
		r.place(standing)
	}
	return r
}

// place enters who works on what.
func (r *overview) place(s lease.Standing) {
	for _, b := range s.Bridges {
		entry := bridgeStatus{Name: b.ID, Version: b.Version, Roles: append([]string{}, b.Roles...), Since: b.Started, Active: []string{}}
		for _, h := range s.Holders {
			if h.Bridge == b.ID {
				entry.Active = append(entry.Active, lease.Key(h.Work, h.Cloud))
			}
		}
		r.Bridges = append(r.Bridges, entry)
	}
	for i := range r.Clouds {
		c := &r.Clouds[i]
		c.Commands, c.Reconcile = new(string), new(string)
		for _, h := range s.Holders {
			switch {
			case h.Cloud != c.Cloud:
			case h.Work == lease.Commands:
				*c.Commands = h.Bridge
			case h.Work == lease.Reconcile:
				*c.Reconcile = h.Bridge
			}
		}
	}
}

// problem is what makes the command fail.
func (r *overview) problem() error {
	errs := slices.Clone(r.errs)
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	for _, c := range r.Clouds {
		switch {
		case c.Commands != nil && *c.Commands == "":
			errs = append(errs, fmt.Errorf("no bridge carries out the commands of %s", c.Cloud))
		case c.unanswered:
			errs = append(errs, fmt.Errorf("no bridge answers for %s, or this account may not ask it", c.Cloud))
		}
	}
	return errors.Join(errs...)
}

func (r *overview) print(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BRIDGE\tVERSION\tROLES\tSINCE\tACTIVE")
	for _, b := range r.Bridges {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", b.Name, b.Version, strings.Join(b.Roles, ","), timetext.Stamp(b.Since), len(b.Active))
	}
	if len(r.Bridges) == 0 {
		fmt.Fprintln(w, "none")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(w, "CLOUD\tCOMMANDS BY\tRECONCILE BY\tWAITING\tOLDEST\tFACTRO")
	for _, c := range r.Clouds {
		waiting, oldest, factro := "?", "?", "?"
		if c.Waiting != nil {
			waiting, oldest = strconv.FormatUint(*c.Waiting, 10), "-"
		}
		if c.Oldest != nil {
			oldest = max(0, now.Sub(*c.Oldest)).Round(time.Second).String()
		}
		if c.Factro != nil {
			factro = cmp.Or(strings.Join(c.held, "; "), c.Factro.State)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Cloud, nameOf(c.Commands), nameOf(c.Reconcile), waiting, oldest, factro)
	}
	return w.Flush()
}

// nameOf is the name of a bridge, of nobody, or of one that is not known.
func nameOf(bridge *string) string {
	if bridge == nil {
		return "?"
	}
	return cmp.Or(*bridge, "-")
}

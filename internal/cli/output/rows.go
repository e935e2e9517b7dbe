package output

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// MaxRows is how many rows of a list are printed without --all.
const MaxRows = 20

// AllFlag declares --all, the same for all long lists.
func AllFlag(cmd *cobra.Command, all *bool) {
	cmd.Flags().BoolVar(all, "all", false, fmt.Sprintf("print all rows, not only %d", MaxRows))
}

// RowsOf is how many of n rows are printed.
func RowsOf(n int, all bool) int {
	if all {
		return n
	}
	return min(n, MaxRows)
}

// Newest returns the newest rows in their original order.
func Newest[T any](rows []T, most int, at func(T) time.Time) []T {
	if len(rows) <= most {
		return rows
	}
	places := make([]int, len(rows))
	for i := range places {
		places[i] = i
	}
	slices.SortStableFunc(places, func(a, b int) int { return at(rows[b]).Compare(at(rows[a])) })
	places = places[:most]
	slices.Sort(places)
	out := make([]T, most)
	for i, place := range places {
		out[i] = rows[place]
	}
	return out
}

// PrintMore says how many rows were left out, if any. kind is "more" or "older".
func PrintMore(out io.Writer, left int, kind string) error {
	if left <= 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "… and %d %s; --all shows them\n", left, kind)
	return err
}

package payload

import "time"

// Ruled is Germany's time at the beginning of a day where no machine tells it.
func Ruled(year int, month time.Month, day int) *time.Location { return ruled(year, month, day) }

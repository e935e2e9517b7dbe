package translate

import (
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/factro-bridge/factro-bridge/pkg/events"
	"github.com/factro-bridge/factro-bridge/pkg/events/attr"
)

// Attributes reads what the extension attributes of a command say of when it expires and whether it is a dry run, and checks its
// priority. What was read before a mistake is returned with it.
func Attributes(e event.Event) (expiry time.Time, dryRun bool, wrong *events.Error) {
	var err error
	extensions := e.Extensions()
	if at, ok := extensions[attr.ExpiryTime]; ok {
		if expiry, err = types.ToTime(at); err != nil {
			return expiry, false, &events.Error{Code: events.CodeInvalid, Message: "attribute expirytime is not a time as in RFC 3339"}
		}
	}
	if p, ok := extensions[attr.Priority]; ok && p != attr.PriorityHigh && p != attr.PriorityNormal && p != attr.PriorityLow {
		return expiry, false, &events.Error{Code: events.CodeInvalid, Message: fmt.Sprintf("attribute priority is %.40q, and neither high nor normal nor low", fmt.Sprint(p))}
	}
	if dry, ok := extensions[attr.DryRun]; ok {
		if dryRun, err = types.ToBool(dry); err != nil { // if the value is unclear, the call must not be made
			return expiry, dryRun, &events.Error{Code: events.CodeInvalid, Message: "attribute dryrun is neither true nor false"}
		}
	}
	return expiry, dryRun, nil
}

package sim

import (
	"github.com/factro-bridge/factro-bridge/internal/sim/setting"
)

// Named is a name that a flag accepts, with a description.
type Named struct {
	Name, Doc string
	// Switch says that its value is true or false.
	Switch bool
}

// FaultKinds are the kinds of faults.
func FaultKinds() []Named {
	var out []Named
	for _, k := range faultKinds {
		out = append(out, Named{Name: string(k.kind), Doc: k.doc})
	}
	return out
}

// FaultSettings are the settings of a fault.
func FaultSettings() []Named { return named(new(Fault).settings()[1:]) }

// VariantSettings are the settings for behavior that is not known.
func VariantSettings() []Named { return named(new(Variants).Settings()) }

// DeliverySettings are the settings for the delivery of webhooks.
func DeliverySettings() []Named { return named(new(Delivery).Settings()) }

func named(settings []setting.Setting) []Named {
	var out []Named
	for _, s := range settings {
		_, isSwitch := s.Get().(bool)
		out = append(out, Named{Name: s.Name, Doc: s.Doc, Switch: isSwitch})
	}
	return out
}

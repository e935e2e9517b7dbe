package sim

// Named is a name that a flag takes, with a line for people.
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

// FaultSettings are what a fault has beside its kind.
func FaultSettings() []Named { return named(new(Fault).settings()[1:]) }

// VariantSettings are the unknowns of factro.
func VariantSettings() []Named { return named(new(Variants).settings()) }

// DeliverySettings say how webhooks are delivered.
func DeliverySettings() []Named { return named(new(Delivery).settings()) }

func named(settings []setting) []Named {
	var out []Named
	for _, s := range settings {
		_, isSwitch := s.get().(bool)
		out = append(out, Named{Name: s.name, Doc: s.doc, Switch: isSwitch})
	}
	return out
}

package ensure

// The probe of a bridge.
var (
	IsProbed     = (*Ensurer).isProbed
	TakeProbe    = (*Ensurer).takeProbe
	Reserve      = (*Ensurer).reserve
	ReleaseProbe = (*Ensurer).releaseProbe
)

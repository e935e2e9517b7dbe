package bus

// isMoving says whether a stream is being filled from one of an older version.
func (b *Bus) isMoving(string) bool { return false }

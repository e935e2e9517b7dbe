package lease

// Freeze ends the renewal of a lease without giving it back, as if its process stood still.
func Freeze(l *Lease) {
	l.stop()
	<-l.stopped
}

// Revision is that of the last write.
func Revision(l *Lease) uint64 {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.revision
}

package lane

// Running is how many entries are being carried out.
func Running(s *Schedule) int { return s.running }

// CutLanes is how many groups are cut.
func CutLanes(s *Schedule) int { return len(s.cuts) }

package queue

// waiting are the items that wait, as a heap: the one that is due first is the first.
type waiting []*item

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(a, b int) bool { return w[a].due.Before(w[b].due) }

func (w waiting) Swap(a, b int) {
	w[a], w[b] = w[b], w[a]
	w[a].place, w[b].place = a, b
}

// Push adds an item; see [container/heap.Interface].
func (w *waiting) Push(x any) {
	i := x.(*item) //nolint:forcetypeassert,errcheck // only items are pushed
	i.place = len(*w)
	*w = append(*w, i)
}

// Pop removes the last item; see [container/heap.Interface].
func (w *waiting) Pop() any {
	last := len(*w) - 1
	i := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	i.place = -1
	return i
}

package simulator

// ring keeps the last items of a list. It is not safe for concurrent use.
type ring[T any] struct {
	size  int
	items []T
	next  int // the oldest one, once the ring is full
}

func (r *ring[T]) add(item T) {
	if len(r.items) < r.size {
		r.items = append(r.items, item)
		return
	}
	r.items[r.next] = item
	r.next = (r.next + 1) % r.size
}

// all are the items that keep wants, oldest first; never nil.
func (r *ring[T]) all(keep func(T) bool) []T {
	out := []T{}
	for i := range r.items {
		if item := r.items[(r.next+i)%len(r.items)]; keep(item) {
			out = append(out, item)
		}
	}
	return out
}

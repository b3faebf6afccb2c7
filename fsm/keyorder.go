package fsm

import (
	"bytes"
	"slices"
)

// keyOrder tells the changes of one table in the order of their keys. Bulk commands write most tables in that order, or in
// a few such sequences that alternate, which are kept by appending; what comes in another order is sorted only when a scan or
// the commit asks. Sorted runs are merged with ones of about their size, so that a command that scans after each write
// costs little more than one that never does.
type keyOrder struct {
	runs   [][]int // places of changes by key
	recent []int   // as they were written
}

const (
	// openRuns is how many runs are begun with changes that follow none of the others.
	openRuns = 4
	// sortRecent is how many unsorted changes a scan looks through before it rather sorts them.
	sortRecent = 64
)

// add takes note of a change to a key that had none.
func (k *keyOrder) add(changes []change, place int) {
	follows, last := -1, []byte(nil)
	for i, run := range k.runs {
		if len(run) == 0 {
			follows = i // of the batch before
			break
		}
		end := changes[run[len(run)-1]].key
		if bytes.Compare(end, changes[place].key) < 0 && (follows < 0 || bytes.Compare(end, last) > 0) {
			follows, last = i, end
		}
	}
	switch {
	case follows >= 0:
		k.runs[follows] = append(k.runs[follows], place)
	case len(k.runs) < openRuns:
		k.runs = append(k.runs, []int{place})
	default:
		k.recent = append(k.recent, place)
	}
}

// appendBetween appends the places of the changes with keys in [low, high), in order.
func (k *keyOrder) appendBetween(to []int, changes []change, low, high []byte) []int {
	if len(k.recent) > sortRecent {
		k.sort(changes)
	}
	start, sources := len(to), 0
	byKey := func(place int, key []byte) int { return bytes.Compare(changes[place].key, key) }
	for _, run := range k.runs {
		first, _ := slices.BinarySearchFunc(run, low, byKey)
		last := len(run)
		if high != nil {
			last, _ = slices.BinarySearchFunc(run, high, byKey)
		}
		if first < last {
			to = append(to, run[first:last]...)
			sources++
		}
	}
	sorted := len(to)
	for _, place := range k.recent {
		if key := changes[place].key; bytes.Compare(key, low) >= 0 && (high == nil || bytes.Compare(key, high) < 0) {
			to = append(to, place)
		}
	}
	if sources > 1 || len(to) > sorted {
		slices.SortFunc(to[start:], func(a, b int) int { return bytes.Compare(changes[a].key, changes[b].key) })
	}
	return to
}

// sort makes a run of recent, and merges runs of about the same length.
func (k *keyOrder) sort(changes []change) {
	if len(k.recent) > 0 {
		run := slices.Clone(k.recent)
		slices.SortFunc(run, func(a, b int) int { return bytes.Compare(changes[a].key, changes[b].key) })
		k.runs, k.recent = append(k.runs, run), k.recent[:0]
	}
	for n := len(k.runs); n > 1 && len(k.runs[n-2]) <= 2*len(k.runs[n-1]); n-- {
		k.mergeLast(changes)
	}
}

// all returns the places of all changes, in order.
func (k *keyOrder) all(changes []change) []int {
	k.sort(changes)
	for len(k.runs) > 1 {
		k.mergeLast(changes)
	}
	if len(k.runs) == 0 {
		return nil
	}
	return k.runs[0]
}

// mergeLast merges the last run into the one before it.
func (k *keyOrder) mergeLast(changes []change) {
	n := len(k.runs)
	a, b := k.runs[n-2], k.runs[n-1]
	i, j := len(a)-1, len(b)-1
	merged := slices.Grow(a, len(b))[:len(a)+len(b)]
	for to := len(merged) - 1; j >= 0; to-- {
		if i >= 0 && bytes.Compare(changes[merged[i]].key, changes[b[j]].key) > 0 {
			merged[to] = merged[i]
			i--
		} else {
			merged[to] = b[j]
			j--
		}
	}
	k.runs[n-2], k.runs = merged, k.runs[:n-1]
}

// reset forgets everything but some of the memory.
func (k *keyOrder) reset() {
	if len(k.runs) > 0 {
		k.runs[0] = k.runs[0][:0]
		clear(k.runs[1:])
		k.runs = k.runs[:1]
	}
	k.recent = k.recent[:0]
}

// keyOrders are those of all tables; a table is the first byte of a key.
type keyOrders struct {
	tables [256]*keyOrder
	used   []byte // tables with changes, ascending
}

func (o *keyOrders) add(changes []change, place int) {
	table := changes[place].key[0]
	k := o.tables[table]
	if k == nil {
		k = &keyOrder{}
		o.tables[table] = k
	}
	if len(k.runs) == 0 || len(k.runs[0]) == 0 && len(k.recent) == 0 {
		at, _ := slices.BinarySearch(o.used, table)
		o.used = slices.Insert(o.used, at, table)
	}
	k.add(changes, place)
}

// between returns the places of the changes with keys in [low, high), in order.
func (o *keyOrders) between(changes []change, low, high []byte) (places []int) {
	for _, table := range o.used {
		if len(low) > 0 && table < low[0] || high != nil && (len(high) == 0 || table > high[0]) {
			continue
		}
		places = o.tables[table].appendBetween(places, changes, low, high)
	}
	return places
}

// each visits the places of all changes in order.
func (o *keyOrders) each(changes []change, visit func(place int) error) error {
	for _, table := range o.used {
		for _, place := range o.tables[table].all(changes) {
			if err := visit(place); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *keyOrders) reset() {
	for _, table := range o.used {
		o.tables[table].reset()
	}
	o.used = o.used[:0]
}

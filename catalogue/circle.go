package catalogue

import "dapple/command"

// circleSearch looks for a circle of attachments among what can be reached in one direction, up or down. It visits
// every collection once, however many attachments lead there.
type circleSearch struct {
	// stored visits what is stored next to a collection in the direction, added has what the command adds.
	stored func(ref didRef, visit func(didRef) (bool, error)) error
	added  map[didRef][]didRef
	work   workLimit
	done   map[didRef]bool // false while it is on the path
	path   []circleStep
}

// circleStep is a collection on the path, with what is next to it and has not been visited yet.
type circleStep struct {
	ref  didRef
	next []didRef
}

// from searches from a collection. It returns the collections of a circle, nil for none, and false when the work was
// too much to tell.
func (s *circleSearch) from(start didRef) (circle map[didRef]bool, told bool, err error) {
	told, err = s.enter(start)
	for err == nil && told && len(s.path) > 0 {
		step := &s.path[len(s.path)-1]
		if len(step.next) == 0 {
			s.done[step.ref] = true
			s.path = s.path[:len(s.path)-1]
			continue
		}
		next := step.next[0]
		step.next = step.next[1:]
		if done, seen := s.done[next]; seen && !done {
			return s.circleAt(next), true, nil
		}
		told, err = s.enter(next)
	}
	return nil, told, err
}

// enter puts a collection on the path unless it was visited before.
func (s *circleSearch) enter(ref didRef) (told bool, err error) {
	if _, seen := s.done[ref]; seen {
		return true, nil
	}
	s.done[ref] = false
	next := s.added[ref]
	next = next[:len(next):len(next)]
	told = s.work.spend(scanWork)
	if told {
		err = s.stored(ref, func(other didRef) (bool, error) {
			told = s.work.spend(1)
			next = append(next, other)
			return told, nil
		})
	}
	s.path = append(s.path, circleStep{ref, next})
	return told, err
}

// circleAt returns what is on the path from a collection on.
func (s *circleSearch) circleAt(ref didRef) map[didRef]bool {
	circle := map[didRef]bool{}
	for i := len(s.path) - 1; i >= 0; i-- {
		circle[s.path[i].ref] = true
		if s.path[i].ref == ref {
			break
		}
	}
	return circle
}

// checkCircles refuses attachments of containers to containers that make a circle. It searches above the containers
// that are attached to and, where there is too much, below those that are attached; a small container can always be
// attached, whatever others have attached its parent to. Below workFeatures each attachment was checked by itself.
func (c *didChanges) checkCircles() error {
	edges, up, down := c.newPaths()
	if len(edges) == 0 {
		return nil
	}
	work := c.work
	work.left += 2 * scanWork * len(c.written) // what the command names
	above := circleSearch{stored: c.storedParents, added: up, work: work, done: map[didRef]bool{}}
	below := circleSearch{stored: c.storedChildren, added: down, work: work, done: map[didRef]bool{}}
	told := true
	for _, e := range edges {
		circle, known, err := above.from(e.parent)
		if err != nil || circle != nil {
			return c.circular(edges, circle, err)
		}
		if told = known; !told {
			break
		}
	}
	for i := 0; i < len(edges) && !told; i++ {
		circle, known, err := below.from(edges[i].child)
		if err != nil || circle != nil {
			return c.circular(edges, circle, err)
		}
		if !known {
			return c.tooDeep(edges[i])
		}
	}
	return nil
}

// newPaths returns the new attachments that can be part of a circle, which are those of containers that hold
// something, and where they lead upwards and downwards.
func (c *didChanges) newPaths() (edges []edge, up, down map[didRef][]didRef) {
	up, down = map[didRef][]didRef{}, map[didRef][]didRef{}
	for _, e := range c.written {
		if c.edges[e] && c.dids[e.child].did.Type == TypeContainer {
			up[e.child] = append(up[e.child], e.parent)
			down[e.parent] = append(down[e.parent], e.child)
		}
	}
	for _, e := range c.written {
		if c.edges[e] && c.dids[e.child].did.Type == TypeContainer && (!c.dids[e.child].empty || len(down[e.child]) > 0) {
			edges = append(edges, e)
		}
	}
	return edges, up, down
}

// storedParents visits what a container is attached to.
func (c *didChanges) storedParents(ref didRef, visit func(didRef) (bool, error)) error {
	if d, known := c.dids[ref]; known {
		return scanParents(c.v, ref, d.did, visit)
	}
	d, err := mustLoadDID(c.v, ref)
	if err != nil {
		return err
	}
	return scanParents(c.v, ref, d, visit)
}

// storedChildren visits what is in a collection; a dataset leads to nothing that could be part of a circle.
func (c *didChanges) storedChildren(ref didRef, visit func(didRef) (bool, error)) error {
	return scanChildren(c.v, ref, func(child didRef, t DIDType) (bool, error) {
		if t == TypeFile {
			return false, nil
		}
		return visit(child)
	})
}

// circular refuses the first of the new attachments that is part of a circle.
func (c *didChanges) circular(edges []edge, circle map[didRef]bool, err error) error {
	for _, e := range edges {
		if err != nil || !circle[e.parent] || !circle[e.child] {
			continue
		}
		parent, err := c.names.full(c.v, e.parent)
		if err != nil {
			return err
		}
		child, err := c.names.full(c.v, e.child)
		if err != nil {
			return err
		}
		return Errorf(command.CodeUnsupportedOperation, "Circular attachment detected. %s is already a parent of %s", child, parent)
	}
	return err
}

// tooDeep refuses an attachment with too much above and below it.
func (c *didChanges) tooDeep(e edge) error {
	parent, err := c.names.full(c.v, e.parent)
	if err != nil {
		return err
	}
	child, err := c.names.full(c.v, e.child)
	if err != nil {
		return err
	}
	return Errorf(command.CodeTooManyItems, "%s cannot be attached to %s: about %d collections or more are above the one and below the other; "+
		"attach fewer at once, or to containers that are less deep", child, parent, maxExtraWork/scanWork)
}

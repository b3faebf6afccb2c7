package catalogue

// hiddenOnes finds what of collections is hidden, for whoever goes up from what is in them: the attachments of a large collection are removed,
// or brought back, by several commands, and from the first of them on nobody is told of it. Going down never meets one.
type hiddenOnes struct{ any bool }

// findHiding looks whether anything can be hidden; mostly nothing is, and then nothing more is read.
func findHiding(v View) (h hiddenOnes, err error) {
	low := []byte{tableEnding}
	err = v.Scan(low, prefixEnd(low), func(_, _ []byte) (bool, error) {
		h.any = true
		return false, nil
	})
	return h, err
}

// scanParents is scanParents without what is hidden.
func (h hiddenOnes) scanParents(v View, child didRef, d *DID, visit func(parent didRef) (more bool, err error)) error {
	if !h.any {
		return scanParents(v, child, d, visit)
	}
	return scanParents(v, child, d, func(parent didRef) (bool, error) {
		p, err := mustLoadDID(v, parent)
		if err != nil || p.hidden {
			return true, err
		}
		return visit(parent)
	})
}

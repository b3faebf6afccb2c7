package catalogue

func (c *invariants) badReplica(key, value []byte) error {
	k, err := parseBadKey(key)
	if err != nil {
		return err
	}
	r, err := parseBad(value)
	if err != nil {
		return err
	}
	if err := same(value, appendBad(nil, &r)); err != nil {
		return err
	}
	if _, err := RSEByID(c.v, k.rse); err != nil {
		return err
	}
	if _, err := scopeName(c.v, k.ref.scope); err != nil {
		return err
	}
	if _, err := accountName(c.v, r.Account); err != nil {
		return err
	}
	if r.State == BadStateTemporarilyUnavailable && r.Expires != 0 {
		if err := c.holds(expiryKey(r.Expires, k.rse, k.ref), nil, "the index of expiries"); err != nil {
			return err
		}
	}
	return c.holds(badStateKey(byte(r.State), k.rse, k.ref, k.revision), nil, "the index by state")
}

func (c *invariants) badState(key, value []byte) error {
	if len(key) == 0 {
		return ErrKey
	}
	k, err := parseBadKey(key[1:])
	if err != nil {
		return err
	}
	r, err := mustLoadBad(c.v, k)
	if err != nil {
		return err
	}
	if byte(r.State) != key[0] {
		return violated("the declaration has state %s", r.State)
	}
	return same(value, nil)
}

// expiry checks that what ends by itself is a declaration that says so.
func (c *invariants) expiry(key, _ []byte) error {
	e, err := parseExpiryKey(append([]byte{tableExpiry}, key...))
	if err != nil {
		return err
	}
	ends := false
	prefix := appendRef0(badStatePrefix(byte(BadStateTemporarilyUnavailable), e.rse), e.ref)
	err = c.v.Scan(prefix, prefixEnd(prefix), func(key, _ []byte) (bool, error) {
		k, err := parseBadKey(key[2:])
		if err != nil {
			return false, err
		}
		r, err := mustLoadBad(c.v, k)
		ends = ends || r.Expires == e.at
		return true, err
	})
	if err == nil && !ends {
		err = violated("no declaration about %q at RSE %d ends then", e.ref.name, e.rse)
	}
	return err
}

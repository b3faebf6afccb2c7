package catalogue

import "encoding/binary"

// liveRSE checks that a number is that of an RSE in use.
func (c *invariants) liveRSE(id uint32) error {
	r, err := RSEByID(c.v, id)
	if err == nil && r.Deleted != 0 {
		err = violated("RSE %q is deleted", r.Name)
	}
	return err
}

func (c *invariants) distance(key, value []byte) error {
	source, rest, err := parseID(key)
	if err != nil {
		return err
	}
	destination, rest, err := parseID(rest)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return ErrKey
	}
	if err := c.liveRSE(source); err != nil {
		return err
	}
	if err := c.liveRSE(destination); err != nil {
		return err
	}
	d, err := parseDistance(value)
	if err != nil {
		return err
	}
	return same(value, appendDistance(nil, &d))
}

func (c *invariants) usage(key, value []byte) error {
	rse, rest, err := parseID(key)
	if err != nil {
		return err
	}
	source, rest, err := parseText0(rest)
	if err != nil {
		return err
	}
	if _, rest, err = parseNumber(rest); err != nil || len(rest) != 0 {
		return ErrKey
	}
	if err := c.liveRSE(rse); err != nil {
		return err
	}
	if err := checkText("source", source, maxText); err != nil {
		return err
	}
	u, err := parseUsage(source, value)
	if err != nil {
		return err
	}
	return same(value, appendUsage(nil, &u))
}

func (c *invariants) limit(key, value []byte) error {
	rse, name, err := parseID(key)
	if err != nil {
		return err
	}
	if err := c.liveRSE(rse); err != nil {
		return err
	}
	if err := checkText("limit", string(name), maxText); err != nil {
		return err
	}
	r := newRecordReader(value, limitFormat)
	limit := r.varint()
	if err := r.done(); err != nil {
		return err
	}
	return same(value, binary.AppendVarint([]byte{limitFormat}, limit))
}

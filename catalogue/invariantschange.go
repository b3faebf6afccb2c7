package catalogue

import "bytes"

// change checks a record of the feed: it is canonical, its events come after those before it, and its size is counted.
func (c *invariants) change(key, value []byte) error {
	whole := append([]byte{tableChange}, key...)
	record, err := openChange(whole, value)
	if err != nil {
		return err
	}
	feed, err := GetFeed(c.v)
	if err != nil {
		return err
	}
	last, total := c.changes.last, c.changes.total
	c.changes.last, c.changes.total = record.last, record.total+changeSize(whole, value)
	switch {
	case record.first() <= last:
		return violated("it begins with revision %d, the one before ends with %d", record.first(), last)
	case record.last <= feed.Through:
		return violated("it is older than revision %d, which is gone", feed.Through)
	case last != 0 && record.total != total:
		return violated("%d bytes come before it, not %d", total, record.total)
	case c.changes.total > feed.Total:
		return violated("the feed has %d bytes, not %d", c.changes.total, feed.Total)
	}
	again, err := record.again()
	if err == nil && !bytes.Equal(again, value) {
		err = violated("the encoding is not canonical")
	}
	return err
}

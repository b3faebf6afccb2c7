package main

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// seeded is the series of the rows that reads find; those that a client writes are of the series of its number from 1 on.
const seeded = 0

// appendName appends a name of about 60 characters, the same as dapple bench's.
func appendName(b []byte, series, i int) []byte {
	return fmt.Appendf(b, "mc26_14TeV.0badcafe.AOD.merge.%05d._%010d.pool.root.1", series, i)
}

// random numbers are the same in each run.
func random(client int) *rand.Rand { return rand.New(rand.NewPCG(uint64(client), 1)) }

// settle waits until a node has all rows that were written, and has so shown that an answer of all rows is whole.
func (n *nodes) settle(ctx context.Context, count func() (int, error)) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	return n.await(ctx, func() error {
		found, err := count()
		if err == nil && found != known {
			err = fmt.Errorf("%d rows are there, not %d", found, known)
		}
		return err
	})
}

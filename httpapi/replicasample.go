package httpapi

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"dapple/catalogue"
	"dapple/command"
)

// sampleSize reads nrandom, a number up to limit that may come as text.
func sampleSize(fields object, limit int) (int, error) {
	const key = "nrandom"
	if !fields.has(key) {
		return 0, nil
	}
	n, err := strconv.ParseUint(strings.Trim(string(fields[key]), `"`), 10, 31)
	if err != nil {
		return 0, catalogue.Errorf(command.CodeInvalidValue, "'%s' must be a whole number from 0 on, not %s", key, abridge(fields[key]))
	}
	if n > uint64(limit) { //nolint:gosec // a limit is positive
		return 0, catalogue.Errorf(command.CodeTooManyItems, "'%s' is more than %d files", key, limit)
	}
	return int(n), nil
}

// sampleFiles chooses size files of a list at random. alive ends it early by an error, for nothing is sent before every file
// was seen.
func sampleFiles(list *catalogue.ReplicaList, size int, alive func() error) ([]catalogue.ListedRef, error) {
	var (
		sample []catalogue.ListedRef
		seen   int
	)
	err := list.Each(func(f *catalogue.ListedFile) (bool, error) {
		// Reservoir sampling: after n files each of them is in the sample with the same probability.
		seen++
		if len(sample) < size {
			sample = append(sample, f.Ref())
		} else if i := rand.IntN(seen); i < size {
			sample[i] = f.Ref()
		}
		return true, alive()
	})
	return sample, err
}

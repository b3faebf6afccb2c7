package catalogue

import "dapple/command"

// workFeatures is the feature level from which on a command is refused, or goes on in steps, when what it names
// leads to more work than apply may spend on one command.
const workFeatures = 2

// maxExtraWork is how many records a command may read beyond those that it names: collections above and below it,
// datasets of a file, children of a collection. Apply takes a few microseconds for each, and all writes wait for it.
const maxExtraWork = 10_000

// scanWork is what it costs to begin a scan, in records.
const scanWork = 5

// workLimit counts down the work of one command. The zero value is no limit.
type workLimit struct {
	limited bool
	left    int
}

// newWorkLimit returns the limit of a command; there is none below workFeatures.
func newWorkLimit(v View) (workLimit, error) {
	level, err := FeatureLevel(v)
	return workLimit{limited: level >= workFeatures, left: maxExtraWork}, err
}

// spend takes n records off what is left, and returns false when there is no more.
func (w *workLimit) spend(n int) bool {
	w.left -= n
	return !w.limited || w.left >= 0
}

// spent reports whether the command has tried to do more than it may.
func (w *workLimit) spent() bool { return w.limited && w.left < 0 }

// allow lets a command read a few more records for each of the items that it names: most lead to one or two.
func (w *workLimit) allow(items int) { w.left += 2 * items }

// spendOn is spend that refuses with CodeTooManyItems; what says what the command has come to when it is too much.
func (w *workLimit) spendOn(n int, what string) error {
	if w.spend(n) {
		return nil
	}
	return Errorf(command.CodeTooManyItems, "with %s the request concerns more than %d records that it does not name: name fewer at once", what, maxExtraWork)
}

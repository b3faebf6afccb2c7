package httpapi

import (
	"context"
	"time"

	"dapple/catalogue"
	"dapple/command"
)

const (
	// queryCheck is how many reads of the store a query makes before it looks whether it is to go on.
	queryCheck = 256
	// lineTime is the time that a line of the answer gives back to its query, up to the limit.
	lineTime = 5 * time.Millisecond
)

// queryView is the view of one query. It ends the query when the client has left, and when the query has worked for
// the limit without lines to show for it. The time that the client takes to read does not count.
type queryView struct {
	View
	ctx   context.Context
	limit time.Duration
	until time.Time
	reads int
	lines int // since the last check
	err   error
}

func newQueryView(ctx context.Context, v View, limit time.Duration) *queryView {
	return &queryView{View: v, ctx: ctx, limit: limit, until: time.Now().Add(limit)}
}

// Memo returns that of the view underneath.
func (v *queryView) Memo() *catalogue.Memo { return catalogue.MemoOf(v.View) }

// Get implements catalogue.View.
func (v *queryView) Get(key []byte) ([]byte, bool, error) {
	if v.reads++; v.reads%queryCheck == 0 && !v.goesOn() {
		return nil, false, v.err
	}
	return v.View.Get(key)
}

// Scan implements catalogue.View.
func (v *queryView) Scan(low, high []byte, visit func(key, value []byte) (bool, error)) error {
	if v.reads++; v.reads%queryCheck == 0 && !v.goesOn() {
		return v.err
	}
	return v.View.Scan(low, high, func(key, value []byte) (bool, error) {
		if v.reads++; v.reads%queryCheck == 0 && !v.goesOn() {
			return false, v.err
		}
		return visit(key, value)
	})
}

// goesOn reports whether the query is to go on; otherwise err says why not.
func (v *queryView) goesOn() bool {
	if v.err != nil {
		return false
	}
	if v.err = v.ctx.Err(); v.err != nil {
		return false
	}
	now := time.Now()
	v.until = v.until.Add(time.Duration(v.lines) * lineTime)
	if latest := now.Add(v.limit); v.until.After(latest) {
		v.until = latest
	}
	v.lines = 0
	if now.After(v.until) {
		v.err = catalogue.Errorf(command.CodeTooManyItems, "the query has worked for %s and read %d records with too little to show: "+
			"narrow it down, or name fewer items at once", v.limit, v.reads)
	}
	return v.err == nil
}

// waited gives back the time in which the client took the answer.
func (v *queryView) waited(d time.Duration) {
	if v != nil {
		v.until = v.until.Add(d)
	}
}

// line counts a line of the answer.
func (v *queryView) line() {
	if v != nil {
		v.lines++
	}
}

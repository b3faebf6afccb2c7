package httpapi

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

const (
	// chunkBytes and chunkEvents bound what is read from one view: a view keeps old data from being removed.
	chunkBytes  = 256 << 10
	chunkEvents = 20_000
)

// feedReader is one request that reads the change feed.
type feedReader struct {
	server *Server
	c      *gin.Context
	ctx    context.Context // of the request, ended by the server's end too
	// since is the position: the revision up to which the reader has seen everything. Metrics read it.
	since     atomic.Uint64
	index     uint64 // of the last view
	fromNow   bool   // the position is yet to be taken from a view
	follow    bool
	events    bool // Server-Sent Events instead of lines
	heartbeat time.Duration
	filter    changeFilter
}

// chunk appends the next events; tail is set where there are no more for now. It holds a view only until it returns.
func (f *feedReader) chunk(b []byte) (_ []byte, tail bool, err error) {
	v, err := f.server.reader.View()
	if err != nil {
		return b, false, err
	}
	defer v.Close()
	f.index = v.Index()
	newest, _, err := catalogue.Clock(v)
	if err == nil {
		err = f.check(v)
	}
	if err == nil && f.filter.stale {
		err = f.filter.resolve(v)
	}
	if err != nil {
		return b, false, err
	}
	limit, seen, sent := len(b)+chunkBytes, 0, 0
	err = catalogue.ScanChanges(v, f.since.Load(), func(e *catalogue.Event) (bool, error) {
		f.since.Store(e.Revision)
		if f.filter.takes(e) {
			b = f.appendEvent(b, e)
			sent++
		}
		seen++
		f.filter.stale = f.filter.expression != nil && aboutRSE(e)
		more := len(b) < limit && seen < chunkEvents && !f.filter.stale
		tail = more
		return more, f.ctx.Err()
	})
	f.server.feeds.sent.Add(float64(sent))
	if tail = tail || seen == 0; tail && err == nil {
		f.since.Store(max(f.since.Load(), newest))
	}
	return b, tail, err
}

// aboutRSE reports whether an event may change what an expression stands for.
func aboutRSE(e *catalogue.Event) bool {
	return e.Kind == catalogue.ChangeRSEAdded || e.Kind == catalogue.ChangeRSEChanged || e.Kind == catalogue.ChangeRSEDeleted
}

// check returns CodeChangesGone where events after the position have been trimmed.
func (f *feedReader) check(v View) error {
	feed, err := catalogue.GetFeed(v)
	if err != nil || f.since.Load() >= feed.Through {
		return err
	}
	index, found, err := catalogue.FeedOldest(v)
	if err != nil {
		return err
	}
	if !found {
		index = v.Index()
	}
	return &goneError{since: f.since.Load(), oldest: feed.Through, index: index}
}

// goneError says that a position is older than what is kept.
type goneError struct{ since, oldest, index uint64 }

// Error implements error.
func (e *goneError) Error() string {
	return "the changes after revision " + strconv.FormatUint(e.since, 10) + " are gone; the oldest revision to go on from is " +
		strconv.FormatUint(e.oldest, 10)
}

// Code implements coded.
func (e *goneError) Code() command.Code { return command.CodeChangesGone }

// appendFields implements detailed.
func (e *goneError) appendFields(b []byte) []byte {
	b = strconv.AppendUint(append(b, `, "oldest": `...), e.oldest, 10)
	return strconv.AppendUint(append(b, `, "index": `...), e.index, 10)
}

// feedTimeLayout keeps the order of times, to the microsecond.
const feedTimeLayout = "2006-01-02T15:04:05.000000Z"

func appendFeedTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), feedTimeLayout), '"')
}

// begin and end are what surrounds an event.
func (f *feedReader) begin(b []byte, revision uint64) []byte {
	if !f.events {
		return b
	}
	b = strconv.AppendUint(append(b, "id: "...), revision, 10)
	return append(b, "\ndata: "...)
}

func (f *feedReader) end(b []byte) []byte {
	if f.events {
		b = append(b, '\n')
	}
	return append(b, '\n')
}

// appendHeartbeat appends where the reader stands.
func (f *feedReader) appendHeartbeat(b []byte, now time.Time) []byte {
	since := f.since.Load()
	b = strconv.AppendUint(append(f.begin(b, since), `{"kind":"heartbeat","revision":`...), since, 10)
	b = strconv.AppendUint(append(b, `,"index":`...), f.index, 10)
	b = appendFeedTime(append(b, `,"time":`...), now)
	return f.end(append(b, '}'))
}

// appendEvent appends an event. What does not apply to its kind is left out.
func (f *feedReader) appendEvent(b []byte, e *catalogue.Event) []byte {
	b = strconv.AppendUint(append(f.begin(b, e.Revision), `{"revision":`...), e.Revision, 10)
	b = strconv.AppendUint(append(b, `,"index":`...), e.Index, 10)
	b = appendFeedTime(append(b, `,"time":`...), time.UnixMicro(e.Time))
	b = appendJSONString(append(b, `,"kind":`...), e.Kind.String())
	kind := e.Type
	if e.DID != 0 {
		kind = e.DID.String()
	}
	for _, field := range [...]struct{ key, value string }{
		{`,"scope":`, e.Scope},
		{`,"name":`, e.Name},
		{`,"rse":`, e.RSE},
		{`,"old":`, e.StateName(e.Old)},
		{`,"new":`, e.StateName(e.New)},
		{`,"account":`, e.Account},
		{`,"type":`, kind},
		{`,"child_scope":`, e.ChildScope},
		{`,"child_name":`, e.ChildName},
		{`,"owner":`, e.Owner},
		{`,"adler32":`, e.Adler32},
		{`,"md5":`, e.MD5},
		{`,"path":`, e.Path},
		{`,"key":`, e.Key},
	} {
		if field.value != "" {
			b = appendJSONString(append(b, field.key...), field.value)
		}
	}
	if e.Bytes != 0 || e.Kind == catalogue.ChangeDIDAdded && e.DID == catalogue.TypeFile {
		b = strconv.AppendUint(append(b, `,"bytes":`...), e.Bytes, 10)
	}
	if e.Monotonic {
		b = append(b, `,"monotonic":true`...)
	}
	if e.Tombstone != 0 {
		b = appendFeedTime(append(b, `,"tombstone":`...), time.UnixMicro(e.Tombstone))
	}
	b = appendChangedValue(b, e)
	return f.end(append(b, '}'))
}

// appendChangedValue appends the value of a key, null where it has been taken away, or the reason of a declaration.
func appendChangedValue(b []byte, e *catalogue.Event) []byte {
	switch {
	case e.Value != "" && e.Key == "":
		return append(append(b, `,"reason":`...), e.Value...)
	case e.Value != "":
		return append(append(b, `,"value":`...), e.Value...)
	case e.Cleared():
		return append(b, `,"value":null`...)
	default:
		return b
	}
}

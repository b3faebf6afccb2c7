package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// changeRoutes are the rows of the change feed.
func (s *Server) changeRoutes() []route {
	return []route{{method: get, path: "/changes", handler: s.getChanges}}
}

const (
	typeEvents = "text/event-stream"
	// headerLastEvent is what a reader of Server-Sent Events resumes with.
	headerLastEvent = "Last-Event-ID"
	// heartbeatLeast and heartbeatMost bound what a request may ask for.
	heartbeatLeast, heartbeatMost = time.Second, 5 * time.Minute
)

// getChanges streams the events after a revision, and goes on with what comes. It holds no view while it writes.
func (s *Server) getChanges(c *gin.Context) {
	contentType, ok := s.negotiate(c, typeLines, typeEvents)
	if !ok {
		return
	}
	f, err := s.newFeedReader(c, contentType == typeEvents)
	if err == nil {
		err = s.feeds.enter(f)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	defer s.feeds.leave(f)
	ctx, cancel := context.WithCancel(c.Request.Context())
	defer cancel()
	defer context.AfterFunc(s.feeds.ctx, cancel)()
	f.ctx = ctx
	if err := f.start(); err != nil {
		s.fail(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	st := s.stream(c, contentType)
	st.finish(f.run(st))
}

// newFeedReader reads the request.
func (s *Server) newFeedReader(c *gin.Context, events bool) (*feedReader, error) {
	f := &feedReader{server: s, c: c, events: events, follow: true, heartbeat: s.limits.Heartbeat}
	text, given := c.GetQuery("since")
	if last := c.GetHeader(headerLastEvent); last != "" {
		text, given = last, true // a reader that resumes sends its first request again
	}
	if given {
		since, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, catalogue.Errorf(command.CodeInvalidValue, "'since' must be a revision, a whole number from 0 on, not '%.64s'", text)
		}
		f.since.Store(since)
	}
	f.fromNow = !given
	var err error
	if c.Query("follow") != "" {
		if f.follow, err = queryBool(c, "follow"); err != nil {
			return nil, err
		}
	}
	if text := c.Query("heartbeat"); text != "" {
		if f.heartbeat, err = readHeartbeat(text); err != nil {
			return nil, err
		}
	}
	f.filter, err = newChangeFilter(c.Query("scope"), c.Query("kind"), c.Query("rse_expression"))
	return f, err
}

// readHeartbeat reads a duration, or a number of seconds.
func readHeartbeat(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if seconds, number := strconv.ParseUint(text, 10, 16); number == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d < heartbeatLeast || d > heartbeatMost {
		return 0, catalogue.Errorf(command.CodeInvalidValue, "'heartbeat' must be a time from %s to %s, not '%.64s'", heartbeatLeast, heartbeatMost, text)
	}
	return d, nil
}

// start finds the position to begin at. Its errors are still answers.
func (f *feedReader) start() error {
	ctx, cancel := context.WithTimeout(f.ctx, f.server.limits.Wait)
	defer cancel()
	for {
		behind, err := f.look()
		if err != nil || !behind || f.follow {
			return err
		}
		if err := f.server.reader.WaitApplied(ctx, f.index+1); err != nil {
			return catalogue.Errorf(command.CodeNotReady, "this node has not come to revision %d in time", f.since.Load())
		}
	}
}

// look checks that the feed has what comes after the position; behind is set where this node has not come there yet.
func (f *feedReader) look() (behind bool, err error) {
	v, err := f.server.reader.View()
	if err != nil {
		return false, err
	}
	defer v.Close()
	f.index = v.Index()
	setIndex(f.c, f.index)
	if err := catalogue.KeepsChanges(v); err != nil {
		return false, err
	}
	newest, _, err := catalogue.Clock(v)
	if err != nil {
		return false, err
	}
	if f.fromNow {
		f.fromNow = false
		f.since.Store(newest)
	}
	if err := f.check(v); err != nil {
		return false, err
	}
	return f.since.Load() > newest, f.filter.resolve(v)
}

// run sends the feed until its end, nil, or what breaks it off.
func (f *feedReader) run(st *stream) error {
	next, reached := time.Now().Add(f.heartbeat), false
	for {
		b, tail, err := f.chunk(st.open())
		if err != nil {
			return f.ended(st, err)
		}
		if now := time.Now(); tail && !reached || !now.Before(next) {
			reached = reached || tail
			if err := f.admitted(); err != nil {
				return f.ended(st, err)
			}
			b = f.appendHeartbeat(b, now)
			next = now.Add(f.heartbeat)
		}
		if err := f.send(st, b); err != nil {
			return err
		}
		if tail && !f.follow {
			return nil
		}
		if tail {
			if err := f.wait(next); err != nil {
				return f.ended(st, err)
			}
		}
	}
}

// wait waits for the next entry, at most until a time.
func (f *feedReader) wait(until time.Time) error {
	ctx, cancel := context.WithDeadline(f.ctx, until)
	defer cancel()
	err := f.server.reader.WaitApplied(ctx, f.index+1)
	if ctx.Err() != nil && f.ctx.Err() == nil {
		return nil
	}
	return err
}

// ended sorts out what has ended a feed: a client that is gone takes no more; a server that stops, or a token that does, end one that
// follows in order. Of one that does not, the end says that it is whole.
func (f *feedReader) ended(st *stream, err error) error {
	switch {
	case f.c.Request.Context().Err() != nil:
		return st.flush()
	case f.follow && (f.server.feeds.ctx.Err() != nil || codeOf(err) == command.CodeCannotAuthenticate):
		return nil
	default:
		return err
	}
}

// send sends what has been read, where there is any. A client that takes nothing is cut off as ever; one that has nothing to
// take may wait.
func (f *feedReader) send(st *stream, b []byte) error {
	st.buffer = b
	if len(b) == 0 {
		return nil
	}
	if err := st.flush(); err != nil {
		return err
	}
	_ = http.NewResponseController(st.c.Writer).SetWriteDeadline(time.Time{})
	return nil
}

// admitted returns CodeCannotAuthenticate where the token no longer stands.
func (f *feedReader) admitted() error {
	_, err := f.server.authenticator.authenticate(f.c)
	if codeOf(err) != command.CodeCannotAuthenticate {
		return nil
	}
	return err
}

// changeFilter chooses events.
type changeFilter struct {
	scope      string // prefix
	kinds      []string
	expression *catalogue.Expression
	// rses are those of the expression; they are found again once stale.
	rses  map[string]bool
	stale bool
}

// newChangeFilter reads the parameters; "" chooses everything.
func newChangeFilter(scope, kinds, expression string) (changeFilter, error) {
	filter := changeFilter{scope: scope}
	for kind := range strings.SplitSeq(kinds, ",") {
		if kind == "" {
			continue
		}
		if err := oneOf("kind", kind, catalogue.ChangeKindNames()); err != nil {
			return filter, err
		}
		filter.kinds = append(filter.kinds, kind)
	}
	if expression == "" {
		return filter, nil
	}
	parsed, err := catalogue.ParseExpression(expression)
	filter.expression = &parsed
	return filter, err
}

// resolve finds the RSEs of the expression in a view.
func (filter *changeFilter) resolve(v View) error {
	if filter.stale = false; filter.expression == nil {
		return nil
	}
	rses, err := filter.expression.Evaluate(v)
	if err != nil && codeOf(err) != command.CodeInvalidRSEExpression {
		return err
	}
	filter.rses = make(map[string]bool, len(rses))
	for _, r := range rses {
		filter.rses[r.Name] = true
	}
	return nil
}

// takes reports whether an event is chosen.
func (filter *changeFilter) takes(e *catalogue.Event) bool {
	switch {
	case filter.expression != nil && !filter.rses[e.RSE]:
		return false
	case filter.scope != "" && (e.Scope == "" || !strings.HasPrefix(e.Scope, filter.scope)):
		return false
	case filter.kinds == nil:
		return true
	}
	kind := e.Kind.String()
	for _, wanted := range filter.kinds {
		if kind == wanted || strings.HasPrefix(kind, wanted) && kind[len(wanted)] == '.' {
			return true
		}
	}
	return false
}

package httpapi

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// level says how fresh the state must be that a request reads; see docs/consistency.md.
type level string

const (
	// levelLocal is this node's state at once.
	levelLocal level = "local"
	// levelSession has everything that the client's session has seen.
	levelSession level = "session"
	// levelBounded is of a node that heard from a leader not long ago.
	levelBounded level = "bounded"
	// levelLinearizable has everything that anybody has seen.
	levelLinearizable level = "linearizable"
)

const (
	headerLevel    = "X-Dapple-Consistency"
	headerMaxStale = "X-Dapple-Max-Stale"
	headerMinIndex = "X-Dapple-Min-Index"
	queryLevel     = "consistency"
	queryMaxStale  = "max_stale"
)

// demand is what a request asks of the state that it reads.
type demand struct {
	level level
	// index must be applied, where the level is not levelLocal.
	index    uint64
	maxStale time.Duration
}

// freshen waits until this node's state is as fresh as the request wants it. What is no read waits for the session's index.
func (s *Server) freshen(c *gin.Context, found *route) error {
	if !found.reads() {
		return s.waitApplied(c, s.sessionIndex(c))
	}
	d, err := s.demandOf(c)
	if err != nil {
		return err
	}
	if err = s.meet(c, d); err != nil {
		s.metrics.reads.WithLabelValues(string(d.level), "refused").Inc()
		return err
	}
	s.metrics.reads.WithLabelValues(string(d.level), "served").Inc()
	c.Header(headerLevel, string(d.level))
	return nil
}

// meet waits for what a read demands, within the limit.
func (s *Server) meet(c *gin.Context, d demand) error {
	switch d.level {
	case levelLocal:
		return nil
	case levelSession:
		return s.waitApplied(c, d.index)
	}
	client, err := s.waiter(c)
	if err != nil {
		return err
	}
	defer s.tellState(c)
	ctx, cancel := context.WithTimeout(c.Request.Context(), s.limits.Wait)
	defer cancel()
	var index uint64
	if d.level == levelLinearizable {
		index, err = s.freshness.ReadIndex(ctx)
	} else {
		index, err = s.freshness.HeardWithin(ctx, d.maxStale)
	}
	if err != nil {
		return err
	}
	return s.waitFor(ctx, c, client, max(index, d.index))
}

// demandOf reads what a request demands. Without a level it is the session where the request brings one, else local.
func (s *Server) demandOf(c *gin.Context) (d demand, err error) {
	if d.index, err = s.minIndex(c); err != nil {
		return d, err
	}
	text, given, err := headerOrQuery(c, headerLevel, queryLevel)
	if err != nil {
		return d, err
	}
	d.level = level(text)
	if !given {
		d.level = levelLocal
		if d.index > 0 {
			d.level = levelSession
		}
	}
	switch d.level {
	case levelLocal, levelSession, levelBounded, levelLinearizable:
	default:
		return d, catalogue.Errorf(command.CodeInvalidValue, "the consistency must be local, session, bounded or linearizable, not '%.64s'",
			d.level)
	}
	text, given, err = headerOrQuery(c, headerMaxStale, queryMaxStale)
	if err != nil {
		return d, err
	}
	if given != (d.level == levelBounded) {
		return d, catalogue.Errorf(command.CodeInvalidValue, "max_stale goes with the consistency bounded, and that with max_stale")
	}
	if given {
		d.maxStale, err = parseMaxStale(text)
	}
	return d, err
}

// minIndex returns the index that the session's cookie and X-Dapple-Min-Index ask for, 0 for none.
func (s *Server) minIndex(c *gin.Context) (uint64, error) {
	index := s.sessionIndex(c)
	text := c.GetHeader(headerMinIndex)
	if text == "" {
		return index, nil
	}
	wanted, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, catalogue.Errorf(command.CodeInvalidValue, "%s must be an index of the log", headerMinIndex)
	}
	return max(index, wanted), nil
}

// headerOrQuery returns a value that may stand in a header or in the query; twice only if it is the same.
func headerOrQuery(c *gin.Context, header, key string) (text string, given bool, err error) {
	text = c.GetHeader(header)
	if c.Request.URL.RawQuery == "" {
		return text, text != "", nil
	}
	other, asked := c.GetQuery(key)
	switch {
	case !asked:
		return text, text != "", nil
	case text != "" && text != other:
		return "", false, catalogue.Errorf(command.CodeInvalidValue, "%s and '%s' say different things", header, key)
	default:
		return other, true, nil
	}
}

// parseMaxStale reads a time as Go writes it, or as a number of seconds.
func parseMaxStale(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if seconds, notNumber := strconv.ParseFloat(text, 64); notNumber == nil {
		d, err = -1, nil
		if seconds >= 0 { // which NaN is not
			d = time.Duration(min(seconds*float64(time.Second), math.MaxInt64/2))
		}
	}
	if err != nil || d < 0 {
		return 0, catalogue.Errorf(command.CodeInvalidValue, "max_stale must be a time, such as 500ms or 5, that is not negative")
	}
	return d, nil
}

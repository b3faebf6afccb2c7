package httpapi

import (
	"sync/atomic"

	"github.com/gin-gonic/gin"
)

// budget bounds the bytes of all bodies that are held at one time.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take reserves n bytes, or nothing where there is no room.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) release(n int64) { b.used.Add(-n) }

// coming counts the requests whose bodies are being read or decoded and will become commands, and the bytes that they hold.
type coming struct{ requests, bytes atomic.Int64 }

// heldBody is the memory that a request's body takes.
type heldBody struct {
	bytes  int64
	coming bool     // counted by Server.coming
	shared int64    // bytes that count for the shares of clients
	shares []string // that they count for
}

// admitBody begins the account of a request's body. It refuses a request that is to change something where its command would not be
// taken in: under overload, reading and decoding bodies for nothing would take the processor from the requests that are.
func (s *Server) admitBody(c *gin.Context) (*heldBody, error) {
	held := &heldBody{}
	value, _ := c.Get(keyRoute)
	if r, ok := value.(*route); ok && !r.reads() && r.access != public {
		if err := s.proposer.Admit(int(s.coming.requests.Load()), int(s.coming.bytes.Load())); err != nil {
			return nil, err
		}
		held.coming = true
		s.coming.requests.Add(1)
	}
	c.Set(keyBody, held)
	return held, nil
}

// growBody moves what was read into a larger buffer, within the budget and the shares of the client.
func (s *Server) growBody(c *gin.Context, held *heldBody, body []byte, size int64) ([]byte, error) {
	more := size - int64(cap(body))
	if !s.bodies.take(more) {
		return nil, overLimit(limitBodies, 0, "too many request bodies in flight (limit %d bytes); try again later", s.bodies.limit)
	}
	held.bytes += more
	if err := s.shareBody(c, held, size-firstBuffer); err != nil {
		return nil, err
	}
	if held.coming {
		s.coming.bytes.Add(more)
	}
	return append(make([]byte, 0, size), body...), nil
}

// shareBody charges the client for all but the beginning of a body: most bodies are small and cost no more than a connection does.
func (s *Server) shareBody(c *gin.Context, held *heldBody, size int64) error {
	if size <= held.shared {
		return nil
	}
	if held.shares == nil {
		held.shares = s.bodyClients(c)
	}
	more := size - held.shared
	for i, client := range held.shares {
		if s.bodyShares.take(client, more) {
			continue
		}
		for _, charged := range held.shares[:i] {
			s.bodyShares.release(charged, more)
		}
		return overLimit(limitBodyShare, 0, "too many request bodies of one client in flight (limit %d bytes); try again later", s.bodyShares.most)
	}
	held.shared = size
	return nil
}

// bodyClients names whom a body counts for: the account, on routes that have one, and the source, unless it is a proxy of many.
func (s *Server) bodyClients(c *gin.Context) (clients []string) {
	if account := issuer(c); account != "" {
		clients = append(clients, "account "+account)
	}
	if !s.trusts(s.source(c)) {
		clients = append(clients, "source "+s.limitedSource(c))
	}
	return clients
}

// largeBody is the size of a buffer from which it grows by a quarter instead of doubling, so that the memory charged is close to
// what has come.
const largeBody = 4 << 20

// grown returns the next size of a buffer.
func grown(size int64) int64 {
	if size >= largeBody {
		return size + size/4
	}
	return size * 2
}

// arrived ends the time in which a body is still to become a command: it has become one, or it never will.
func (s *Server) arrived(c *gin.Context) {
	if held, ok := heldBy(c); ok && held.coming {
		held.coming = false
		s.coming.requests.Add(-1)
		s.coming.bytes.Add(-held.bytes)
	}
}

// releaseBody gives back what the request's body holds; once it has, there is nothing more to give.
func (s *Server) releaseBody(c *gin.Context) {
	s.arrived(c)
	if held, ok := heldBy(c); ok {
		s.bodies.release(held.bytes)
		held.bytes = 0
		for _, client := range held.shares {
			s.bodyShares.release(client, held.shared)
		}
		held.shared = 0
	}
}

func heldBy(c *gin.Context) (held *heldBody, ok bool) {
	value, _ := c.Get(keyBody)
	held, ok = value.(*heldBody)
	return held, ok
}

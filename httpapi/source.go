package httpapi

import (
	"net/netip"
	"strings"

	"github.com/gin-gonic/gin"
)

// peer returns the address of whoever opened the connection, the zero address where that is none of IP.
func peer(c *gin.Context) netip.Addr {
	address, err := netip.ParseAddrPort(c.Request.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap()
}

// fromTrustedProxy reports whether the connection comes from a proxy whose headers are believed.
func (s *Server) fromTrustedProxy(c *gin.Context) bool { return s.trusts(peer(c)) }

func (s *Server) trusts(address netip.Addr) bool {
	for _, prefix := range s.trustedProxies {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// source returns the client's address: the connection's, or, behind trusted proxies, the last one in X-Forwarded-For that is not
// such a proxy itself. What stands before that the client may have made up.
func (s *Server) source(c *gin.Context) netip.Addr {
	address := peer(c)
	hops := strings.Split(strings.Join(c.Request.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(address); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = next.Unmap()
	}
	return address
}

// limitedSource returns what failures of a source are counted under.
func (s *Server) limitedSource(c *gin.Context) string { return networkOf(s.source(c)) }

// networkOf returns an address, or the network of an IPv6 address, of which one client has them all.
func networkOf(address netip.Addr) string {
	const network = 64
	if address.Is6() {
		if prefix, err := address.WithZone("").Prefix(network); err == nil {
			return prefix.String()
		}
	}
	return address.String()
}

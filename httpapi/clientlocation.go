package httpapi

import (
	"net/netip"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// headerForwarded names the client where a proxy is in between. It decides nothing but the order of PFNs, so that it need not be
// trusted.
const headerForwarded = "X-Forwarded-For"

// clientLocation is what is known about where a client is.
type clientLocation struct {
	// site is the value of the attribute "site" of the RSEs near the client, "" where unknown.
	site string
	// place is set where the client says where it is.
	place *place
	// address is where the request comes from; a client's own idea of it does not count.
	address netip.Addr
}

// readClientLocation reads the site and the place out of client_location. Addresses and names of hosts in it are taken and not
// used.
func readClientLocation(fields object) (l clientLocation, err error) {
	location, err := fields.optionalObject("client_location")
	if err != nil {
		return l, err
	}
	if l.site, err = location.optionalString("site"); err != nil {
		return l, err
	}
	if !location.has("latitude") || !location.has("longitude") {
		return l, nil
	}
	var at place
	if at.latitude, err = location.degrees("latitude", 90); err == nil {
		at.longitude, err = location.degrees("longitude", 180)
	}
	l.place = &at
	return l, err
}

// degrees returns a number from -limit to limit.
func (o object) degrees(key string, limit float64) (float64, error) {
	value, err := optionalField(o, key, "a number", 0.0)
	if err == nil && (value < -limit || value > limit) {
		err = catalogue.Errorf(command.CodeInvalidValue, "'%s' must be from %g to %g, not %s", key, -limit, limit, abridge(o[key]))
	}
	return value, err
}

// clientAddress returns the address that a request comes from, the zero address where that cannot be told.
func clientAddress(c *gin.Context) netip.Addr {
	first, _, _ := strings.Cut(c.GetHeader(headerForwarded), ",")
	if address, err := netip.ParseAddr(strings.TrimSpace(first)); err == nil {
		return address
	}
	return peer(c)
}

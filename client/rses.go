package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// RSESettings are the properties of a new RSE; what is nil is left to the server.
type RSESettings struct {
	Deterministic *bool  `json:"deterministic,omitempty"`
	Volatile      *bool  `json:"volatile,omitempty"`
	Type          string `json:"rse_type,omitempty"` // DISK or TAPE
}

// AddRSE adds an RSE.
func (c *Client) AddRSE(ctx context.Context, rse string, settings RSESettings) error {
	return c.write(ctx, http.MethodPost, path("rses", rse), settings)
}

// RSE is one line of a list of RSEs. Where the list was made by an expression only RSE is set.
type RSE struct {
	RSE           string `json:"rse"`
	ID            string `json:"id"`
	Type          string `json:"rse_type"`
	Deterministic bool   `json:"deterministic"`
	Volatile      bool   `json:"volatile"`
}

// ListRSEs lists the RSEs of an expression, all for "".
func (c *Client) ListRSEs(ctx context.Context, expression string) iter.Seq2[RSE, error] {
	r := request{method: http.MethodGet, path: "/rses"}
	if expression != "" {
		r.query = url.Values{"expression": {expression}}
	}
	return lines[RSE](ctx, c, r)
}

// SetRSEAttribute sets an attribute to a text, number or boolean.
func (c *Client) SetRSEAttribute(ctx context.Context, rse, key string, value any) error {
	return c.write(ctx, http.MethodPost, path("rses", rse, "attr", key), map[string]any{"value": value})
}

// Priorities are those of a protocol's operations: 1 is tried first, 0 is off.
type Priorities struct {
	Read   int `json:"read"`
	Write  int `json:"write"`
	Delete int `json:"delete"`
}

// Protocol is a way to reach an RSE.
type Protocol struct {
	Scheme, Hostname, Prefix, Impl string
	Port                           int
	LAN, WAN                       Priorities
}

// AddProtocol adds a protocol to an RSE.
func (c *Client) AddProtocol(ctx context.Context, rse string, p Protocol) error {
	return c.write(ctx, http.MethodPost, path("rses", rse, "protocols", p.Scheme), map[string]any{
		"hostname": p.Hostname, "port": p.Port, "prefix": p.Prefix, "impl": p.Impl,
		"domains": map[string]Priorities{"lan": p.LAN, "wan": p.WAN},
	})
}

// Usage is what a source says about the space of an RSE; "rucio" is the catalogue itself. What it does not say is nil.
type Usage struct {
	Source string  `json:"source"`
	Used   *uint64 `json:"used"` // bytes
	Free   *uint64 `json:"free"` // bytes
	Files  *uint64 `json:"files"`
}

// RSEUsage lists what the sources say about an RSE.
func (c *Client) RSEUsage(ctx context.Context, rse string) iter.Seq2[Usage, error] {
	return lines[Usage](ctx, c, request{method: http.MethodGet, path: path("rses", rse, "usage")})
}

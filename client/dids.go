package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// DIDName names a DID.
type DIDName struct {
	Scope string `json:"scope"`
	Name  string `json:"name"`
}

// DID is what the API tells of a DID.
type DID struct {
	Scope   string  `json:"scope"`
	Name    string  `json:"name"`
	Type    string  `json:"type"` // FILE, DATASET or CONTAINER
	Account string  `json:"account"`
	Bytes   *uint64 `json:"bytes"`
	Length  *int64  `json:"length"`
	Adler32 *string `json:"adler32"`
	MD5     *string `json:"md5"`
	Open    bool    `json:"open"`
	// ExpiredAt is when a collection ends, as the API writes it; nil for never.
	ExpiredAt *string `json:"expired_at"`
}

// NewDID is a dataset or container to be added.
type NewDID struct {
	Scope string
	Name  string
	Type  string // DATASET or CONTAINER
	// Lifetime is how long it lives; 0 is for ever.
	Lifetime  time.Duration
	Monotonic bool
	Meta      map[string]any
	Children  []DIDName
}

// MarshalJSON writes it as the API reads it.
func (n NewDID) MarshalJSON() ([]byte, error) {
	type statuses struct {
		Monotonic bool `json:"monotonic"`
	}
	return json.Marshal(struct {
		Scope    string         `json:"scope"`
		Name     string         `json:"name"`
		Type     string         `json:"type"`
		Lifetime float64        `json:"lifetime,omitempty"`
		Statuses statuses       `json:"statuses"`
		Meta     map[string]any `json:"meta,omitempty"`
		DIDs     []DIDName      `json:"dids,omitempty"`
	}{n.Scope, n.Name, n.Type, n.Lifetime.Seconds(), statuses{n.Monotonic}, n.Meta, n.Children})
}

// AddDIDs adds datasets and containers, all or none, in their order: a later one may hold an earlier one.
func (c *Client) AddDIDs(ctx context.Context, dids []NewDID) error {
	return c.write(ctx, http.MethodPost, path("dids"), dids)
}

// SetLifetime says how long a DID lives from now on; nil takes its end away. A collection whose lifetime is over, or negative, is removed
// with its attachments; its files stay.
func (c *Client) SetLifetime(ctx context.Context, did DIDName, lifetime *time.Duration) error {
	var seconds *float64
	if lifetime != nil {
		s := lifetime.Seconds()
		seconds = &s
	}
	return c.SetMetadata(ctx, did, map[string]any{"lifetime": seconds})
}

// Resurrect brings datasets and containers back that have ended, all or none, as they were but for the lifetime. The cluster's setting
// resurrect-window says for how long that is possible.
func (c *Client) Resurrect(ctx context.Context, dids []DIDName) error {
	return c.write(ctx, http.MethodPost, path("dids", "resurrect"), dids)
}

// AddDID adds a DATASET or CONTAINER.
func (c *Client) AddDID(ctx context.Context, did DIDName, kind string) error {
	return c.write(ctx, http.MethodPost, path("dids", did.Scope, did.Name), map[string]string{"type": kind})
}

// GetDID returns a DID.
func (c *Client) GetDID(ctx context.Context, did DIDName) (DID, error) {
	var d DID
	return d, c.call(ctx, request{method: http.MethodGet, path: path("dids", did.Scope, did.Name)}, &d)
}

// Attach attaches children to a dataset or container.
func (c *Client) Attach(ctx context.Context, parent DIDName, children []DIDName) error {
	return c.write(ctx, http.MethodPost, path("dids", parent.Scope, parent.Name, "dids"), map[string]any{"dids": children})
}

// Child is one line of the content of a DID.
type Child struct {
	Scope string  `json:"scope"`
	Name  string  `json:"name"`
	Type  string  `json:"type"`
	Bytes *uint64 `json:"bytes"`
}

// ListContent lists what is attached to a DID.
func (c *Client) ListContent(ctx context.Context, did DIDName) iter.Seq2[Child, error] {
	return lines[Child](ctx, c, request{method: http.MethodGet, path: path("dids", did.Scope, did.Name, "dids")})
}

// File is one line of the files below a DID.
type File struct {
	Scope   string  `json:"scope"`
	Name    string  `json:"name"`
	Bytes   uint64  `json:"bytes"`
	Adler32 *string `json:"adler32"`
}

// ListFiles lists the files below a DID.
func (c *Client) ListFiles(ctx context.Context, did DIDName) iter.Seq2[File, error] {
	return lines[File](ctx, c, request{method: http.MethodGet, path: path("dids", did.Scope, did.Name, "files")})
}

// Metadata returns the metadata of a DID. Numbers are of type json.Number, with all their digits.
func (c *Client) Metadata(ctx context.Context, did DIDName) (meta map[string]any, err error) {
	return meta, c.call(ctx, request{method: http.MethodGet, path: path("dids", did.Scope, did.Name, "meta")}, &meta)
}

// SetMetadata sets keys of a DID's metadata.
func (c *Client) SetMetadata(ctx context.Context, did DIDName, meta map[string]any) error {
	return c.write(ctx, http.MethodPost, path("dids", did.Scope, did.Name, "meta"), map[string]any{"meta": meta})
}

// AttachedFile is a file to attach and to register at an RSE. What is empty is not sent: of a file that is registered already the
// server knows size and checksums, and what is sent must agree with them.
type AttachedFile struct {
	Scope   string  `json:"scope"`
	Name    string  `json:"name"`
	Bytes   *uint64 `json:"bytes,omitempty"`
	Adler32 string  `json:"adler32,omitempty"`
	MD5     string  `json:"md5,omitempty"`
	PFN     string  `json:"pfn,omitempty"`
}

// AttachAt attaches files to a dataset and adds their replicas at an RSE, all or none. A replica that is there stays as it is.
func (c *Client) AttachAt(ctx context.Context, dataset DIDName, rse string, files []AttachedFile) error {
	return c.write(ctx, http.MethodPost, path("dids", dataset.Scope, dataset.Name, "dids"), map[string]any{"dids": files, "rse": rse})
}

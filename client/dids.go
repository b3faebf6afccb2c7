package client

import (
	"context"
	"iter"
	"net/http"
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

// Metadata returns the metadata of a DID.
func (c *Client) Metadata(ctx context.Context, did DIDName) (meta map[string]any, err error) {
	return meta, c.call(ctx, request{method: http.MethodGet, path: path("dids", did.Scope, did.Name, "meta")}, &meta)
}

// SetMetadata sets keys of a DID's metadata.
func (c *Client) SetMetadata(ctx context.Context, did DIDName, meta map[string]any) error {
	return c.write(ctx, http.MethodPost, path("dids", did.Scope, did.Name, "meta"), map[string]any{"meta": meta})
}

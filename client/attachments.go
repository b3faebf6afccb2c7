package client

import (
	"context"
	"net/http"
)

// Attachment names what is to be attached to a dataset or container.
type Attachment struct {
	Scope    string    `json:"scope"`
	Name     string    `json:"name"`
	Children []DIDName `json:"dids"`
}

// AttachMany attaches children to many collections, all or none. With ignoreDuplicate a child that is attached already is no
// conflict.
func (c *Client) AttachMany(ctx context.Context, attachments []Attachment, ignoreDuplicate bool) error {
	return c.write(ctx, http.MethodPost, "/dids/attachments", map[string]any{
		"attachments": attachments, "ignore_duplicate": ignoreDuplicate,
	})
}

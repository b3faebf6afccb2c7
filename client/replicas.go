package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
)

// NewFile is a file to register at an RSE. What is empty is not sent.
type NewFile struct {
	Scope   string         `json:"scope"`
	Name    string         `json:"name"`
	Bytes   uint64         `json:"bytes"`
	Adler32 string         `json:"adler32,omitempty"`
	MD5     string         `json:"md5,omitempty"`
	PFN     string         `json:"pfn,omitempty"`
	State   string         `json:"state,omitempty"` // the letter of a state
	Meta    map[string]any `json:"meta,omitempty"`
}

type newFiles struct {
	RSE   string    `json:"rse"`
	Files []NewFile `json:"files"`
}

// AddReplicas registers replicas at an RSE, all or none.
func (c *Client) AddReplicas(ctx context.Context, rse string, files []NewFile) error {
	return c.write(ctx, http.MethodPost, "/replicas", newFiles{rse, files})
}

// Added is what became of one file of AddReplicasReporting.
type Added struct {
	Scope  string `json:"scope"`
	Name   string `json:"name"`
	Status int    `json:"status"` // 201 for one that is registered
	// PathKept is set on a replica that existed and keeps the path that it had, not that of the PFN.
	PathKept bool   `json:"path_kept"`
	Class    string `json:"ExceptionClass"`
	Message  string `json:"ExceptionMessage"`
}

// AddReplicasReporting registers what it can of the files and returns what became of each, in their order.
func (c *Client) AddReplicasReporting(ctx context.Context, rse string, files []NewFile) (added []Added, err error) {
	return added, c.call(ctx, request{
		method: http.MethodPost, path: "/replicas", query: url.Values{"on_error": {"report"}}, body: newFiles{rse, files},
	}, &added)
}

// NewState is the state that a replica is to have, by its letter: A is AVAILABLE, U UNAVAILABLE, C COPYING,
// B BEING_DELETED, D BAD and T TEMPORARY_UNAVAILABLE.
type NewState struct {
	Scope string `json:"scope"`
	Name  string `json:"name"`
	State string `json:"state"`
	// IfVersion is the version that the replica must have, 0 for any; another one is ErrVersion.
	IfVersion uint64 `json:"if_version,omitempty"`
}

// UpdateStates changes the states of replicas at an RSE, all or none.
func (c *Client) UpdateStates(ctx context.Context, rse string, states []NewState) error {
	return c.write(ctx, http.MethodPut, "/replicas", map[string]any{"rse": rse, "files": states})
}

// Versioned names the replica of a file with the version that it must have.
type Versioned struct {
	Scope     string `json:"scope"`
	Name      string `json:"name"`
	IfVersion uint64 `json:"if_version"`
}

// DeleteReplicasIf deletes replicas at an RSE, all or, where one has another version, none: ErrVersion.
func (c *Client) DeleteReplicasIf(ctx context.Context, rse string, files []Versioned) error {
	return c.write(ctx, http.MethodDelete, "/replicas", map[string]any{"rse": rse, "files": files})
}

// DeleteReplicas deletes replicas at an RSE, all or none.
func (c *Client) DeleteReplicas(ctx context.Context, rse string, files []DIDName) error {
	return c.write(ctx, http.MethodDelete, "/replicas", map[string]any{"rse": rse, "files": files})
}

// ReplicaQuery says which replicas to list and how. What is empty is left to the server.
type ReplicaQuery struct {
	DIDs      []DIDName `json:"dids"`
	Schemes   []string  `json:"schemes,omitempty"`
	RSEs      string    `json:"rse_expression,omitempty"`
	AllStates bool      `json:"all_states,omitempty"`
	Domain    string    `json:"domain,omitempty"` // wan, lan or all
	Sort      string    `json:"sort,omitempty"`   // geoip, distance or random
	Versions  bool      `json:"versions,omitempty"`
}

// PFN says where a PFN leads.
type PFN struct {
	RSE      string `json:"rse"`
	Domain   string `json:"domain"`
	Priority int    `json:"priority"`
}

// Replicas is a file with its replicas.
type Replicas struct {
	Scope  string              `json:"scope"`
	Name   string              `json:"name"`
	Bytes  uint64              `json:"bytes"`
	PFNs   map[string]PFN      `json:"pfns"`
	RSEs   map[string][]string `json:"rses"`
	States map[string]string   `json:"states"`
	// Versions are the versions by RSE, where the query asked for them.
	Versions map[string]uint64 `json:"versions"`
}

// ListReplicas lists the replicas of the files of DIDs.
func (c *Client) ListReplicas(ctx context.Context, q ReplicaQuery) iter.Seq2[Replicas, error] {
	return lines[Replicas](ctx, c, request{method: http.MethodPost, path: "/replicas/list", body: q, reads: true})
}

// Existence says whether a DID exists, and of a file at which RSEs an available replica is.
type Existence struct {
	Scope  string   `json:"scope"`
	Name   string   `json:"name"`
	Exists bool     `json:"exists"`
	Type   string   `json:"type"`
	RSEs   []string `json:"rses"`
}

// Exists tells of each DID, in their order, whether it exists; RSEs are those within the expression, all for "".
func (c *Client) Exists(ctx context.Context, dids []DIDName, expression string) iter.Seq2[Existence, error] {
	body := map[string]any{"dids": dids}
	if expression != "" {
		body["rse_expression"] = expression
	}
	return lines[Existence](ctx, c, request{method: http.MethodPost, path: "/replicas/exists", body: body, reads: true})
}

// DIDsOfPFNs lists the DIDs of PFNs; each item has one PFN.
func (c *Client) DIDsOfPFNs(ctx context.Context, pfns []string) iter.Seq2[map[string]DIDName, error] {
	return lines[map[string]DIDName](ctx, c, request{
		method: http.MethodPost, path: "/replicas/dids", body: map[string]any{"pfns": pfns, "rse": nil}, reads: true,
	})
}

// DeclareBad declares replicas bad by their PFNs and returns what could not be, by RSE.
func (c *Client) DeclareBad(ctx context.Context, pfns []string, reason string) (not map[string][]string, err error) {
	return not, c.call(ctx, request{
		method: http.MethodPost, path: "/replicas/bad", body: map[string]any{"replicas": pfns, "reason": reason},
	}, &not)
}

// ClusterStatus is what a node knows of its cluster.
type ClusterStatus struct {
	NodeID  string `json:"node_id"`
	Role    string `json:"role"`
	Term    uint64 `json:"term"`
	Commit  uint64 `json:"commit_index"`
	Applied uint64 `json:"applied_index"`
	Leader  *struct {
		ID   string `json:"id"`
		HTTP string `json:"http"`
	} `json:"leader"`
}

// ClusterStatus asks a node about its cluster; for root and admins.
func (c *Client) ClusterStatus(ctx context.Context) (ClusterStatus, error) {
	var s ClusterStatus
	return s, c.call(ctx, request{method: http.MethodGet, path: "/cluster/status"}, &s)
}

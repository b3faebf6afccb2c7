// Package httpapi is the HTTP interface of a node: Rucio's REST API, the login, and the operator's endpoints.
//
// A request passes these stations: the resolver finds its row in the route table (routes.go); the node's state is made as
// fresh as the request wants it (levels.go); the token is checked (auth.go); the handler decodes (body.go, object.go), and either proposes one command
// or reads through one view (ports.go) and answers (answers.go, stream.go). Every error is written by errors.go.
//
// There is one file a resource, with its rows of the route table and its handlers.
package httpapi

package httpapi

import (
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// checkItems refuses a command that counts for more items than a request may name. All writes wait while one is applied, and
// all of it takes effect or nothing, so it is the client that has to send parts.
func (s *Server) checkItems(message proto.Message) error {
	if n := command.Items(message); n > s.limits.Items {
		return catalogue.Errorf(command.CodeTooManyItems, "the request counts for %d items, and %d are allowed at once: send it in parts. "+
			"Items that take longer count for more, see Limits in docs/api.md", n, s.limits.Items)
	}
	return nil
}

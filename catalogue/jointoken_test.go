package catalogue

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// A join token lets one server in, until it expires; only root makes one, and only the cluster itself uses it.
func TestJoinTokens(t *testing.T) {
	tx := accountStore()
	at := func(second int64, issuer string) Stamp { return Stamp{Time: second * 1e6, Issuer: issuer} }
	digest := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	add := func(b byte, seconds uint32) *command.AddJoinToken {
		return &command.AddJoinToken{Digest: digest(b), Lifetime: seconds}
	}
	use := func(b byte, server string) *command.UseJoinToken {
		return &command.UseJoinToken{Digest: digest(b), ServerId: server}
	}
	done(t, tx, at(100, "root"), AddJoinToken, add(1, 60))
	done(t, tx, at(100, "root"), AddJoinToken, add(2, 60))
	refused(t, tx, at(100, "root"), command.CodeInvalidValue, AddJoinToken, add(1, 60))
	refused(t, tx, at(100, "joe"), command.CodeAccessDenied, AddJoinToken, add(3, 60))
	refused(t, tx, at(100, ""), command.CodeAccessDenied, AddJoinToken, add(3, 60))
	refused(t, tx, at(100, "root"), command.CodeInvalidValue, AddJoinToken, add(3, 0))
	refused(t, tx, at(100, "root"), command.CodeInvalidValue, AddJoinToken, add(3, uint32(MaxJoinTokenLifetime/time.Second)+1))
	refused(t, tx, at(100, "root"), command.CodeInvalidValue, AddJoinToken, &command.AddJoinToken{Digest: digest(3)[:31], Lifetime: 60})

	refused(t, tx, at(101, "root"), command.CodeAccessDenied, UseJoinToken, use(1, "d@1"))
	refused(t, tx, at(101, ""), command.CodeAccessDenied, UseJoinToken, use(9, "d@1"))
	refused(t, tx, at(101, ""), command.CodeInvalidObject, UseJoinToken, use(1, ""))
	done(t, tx, at(101, ""), UseJoinToken, use(1, "d@1"))
	done(t, tx, at(102, ""), UseJoinToken, use(1, "d@1"))
	refused(t, tx, at(102, ""), command.CodeAccessDenied, UseJoinToken, use(1, "e@1"))
	require.ErrorContains(t, CheckJoinToken(tx, digest(1), "e@1", 102e6), "used by another node")
	refused(t, tx, at(161, ""), command.CodeAccessDenied, UseJoinToken, use(2, "e@1"))
	require.ErrorContains(t, CheckJoinToken(tx, digest(2), "e@1", 161e6), "expired")
	require.NoError(t, CheckJoinToken(tx, digest(2), "e@1", 160e6))
	require.NoError(t, CheckInvariants(tx))

	done(t, tx, at(200, "root"), AddJoinToken, add(4, 60))
	_, good, err := scanJoinTokens(tx, 0)
	require.NoError(t, err)
	require.Equal(t, 1, good, "those that have expired are forgotten")
}

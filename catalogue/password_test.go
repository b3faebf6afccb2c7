package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestSetPassword(t *testing.T) {
	tx := accountStore()
	putVersions(tx, SchemaVersion, 2)
	add := func(account, user string) *command.AddIdentity {
		return &command.AddIdentity{Account: account, Type: "USERPASS", Identity: user, PasswordHash: "$1"}
	}
	done(t, tx, testStamp, AddIdentity, add("joe", "j"))
	done(t, tx, testStamp, AddIdentity, add(RootAccount, "r"))
	refused(t, tx, as("ann"), command.CodeAccessDenied, SetPassword, &command.SetPassword{Identity: "r", PasswordHash: "$2"})
	refused(t, tx, as("joe"), command.CodeAccessDenied, SetPassword, &command.SetPassword{Identity: "j", PasswordHash: "$2"})
	refused(t, tx, as("joe"), command.CodeAccessDenied, SetPassword, &command.SetPassword{Identity: "r", PasswordHash: "$2", PreviousHash: "$1"})
	refused(t, tx, as("joe"), command.CodeCannotAuthenticate, SetPassword, &command.SetPassword{Identity: "j", PasswordHash: "$2", PreviousHash: "$0"})
	refused(t, tx, testStamp, command.CodeIdentityNotFound, SetPassword, &command.SetPassword{Identity: "none", PasswordHash: "$2"})
	refused(t, tx, testStamp, command.CodeInvalidIdentity, SetPassword, &command.SetPassword{Identity: "j"})
	at := as("joe")
	at.Time += 5
	done(t, tx, at, SetPassword, &command.SetPassword{Identity: "j", PasswordHash: "$2", PreviousHash: "$1"})
	i, err := GetIdentity(tx, IdentityUserpass, "j")
	require.NoError(t, err)
	require.Equal(t, []any{"$2", at.Time}, []any{i.PasswordHash, i.Created})

	// Another hash is another password, from feature level 2 on.
	refused(t, tx, testStamp, command.CodeIdentityExists, AddIdentity, add("ann", "j"))
	putVersions(tx, SchemaVersion, 1)
	done(t, tx, testStamp, AddIdentity, add("ann", "j"))
}

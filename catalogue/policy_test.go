package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestAuthorize(t *testing.T) {
	tx := accountStore()
	// Who may: r is root, a the admin ann, j the user joe, who owns user.joe.
	for _, c := range []struct {
		action  Action
		objects []string
		who     string
	}{
		{ActionAddAccount, nil, "r"},
		{ActionUpdateAccount, []string{"email"}, "ra"},
		{ActionAddScope, nil, "ra"},
		{ActionRevokeTokens, []string{"joe"}, "raj"},
		{ActionRevokeTokens, []string{"ann"}, "ra"},
		{ActionAddRSE, nil, "ra"},
		{ActionAddDID, []string{"user.joe"}, "raj"},
		{ActionAddDID, []string{"other"}, "ra"},
		{ActionAddDID, []string{"mock"}, "raj"},
		{ActionAttachMany, []string{"mock"}, "ra"},
		{ActionAttach, []string{"user.joe", "ds"}, "raj"},
		{ActionSetMetadata, []string{"mock", "ds"}, "ra"},
		{ActionCloseDID, []string{"user.joe", "ds"}, "raj"},
		{ActionReopenDID, []string{"user.joe", "ds"}, "ra"},
		{ActionAddReplicas, []string{"CERN_DATADISK"}, "ra"},
		{ActionAddReplicas, []string{"CERN_SCRATCHDISK"}, "raj"},
		{ActionAddReplicas, []string{"CERN_USERDISK"}, "raj"},
		{ActionAddReplicas, []string{"MOCK"}, "raj"},
		{ActionAddReplicas, []string{"CERN_LOCALGROUPDISK"}, "raj"},
		{ActionAddReplicas, []string{"SCRATCHDISK_CERN"}, "ra"},
		{ActionUpdateReplicas, []string{"CERN_SCRATCHDISK"}, "ra"},
		{ActionDeleteReplicas, []string{"CERN_SCRATCHDISK"}, "ra"},
		{ActionDeclareBad, []string{"CERN_SCRATCHDISK"}, "r"},
		{ActionDeclareSuspicious, nil, "raj"},
		{ActionDeclareBadPFNs, nil, "r"},
		{ActionSetTombstones, nil, "ra"},
		{ActionQuarantine, []string{"MOCK"}, "ra"},
	} {
		for letter, account := range map[rune]string{'r': RootAccount, 'a': "ann", 'j': "joe", 's': "sue", '-': ""} {
			want := command.CodeAccessDenied
			for _, w := range c.who {
				if w == letter {
					want = command.CodeOK
				}
			}
			require.Equal(t, want, CodeOf(Authorize(tx, account, c.action, c.objects...)), "action %d %v by %q", c.action, c.objects, account)
		}
	}
	require.EqualError(t, Authorize(tx, "joe", ActionAddReplicas, "CF_PERM_1"), "Account joe can not add file replicas on CF_PERM_1. ")
	require.EqualError(t, Authorize(tx, "joe", ActionAddRSE), "Account joe can not add RSE. ")
	require.EqualError(t, Authorize(tx, "joe", ActionAttach, "s", "n"), "Account joe can not add data identifiers to s:n. ")
	require.Equal(t, command.CodeInternal, CodeOf(Authorize(tx, RootAccount, 0)))
}

// Rules that changed with a feature level hold from there on and not before, so that a log comes to the same state.
func TestPolicyByFeatureLevel(t *testing.T) {
	for level, who := range map[uint64]map[Action]string{
		1: {ActionSetRSEUsage: "ra", ActionSetScopeOwner: "ra"},
		2: {ActionSetRSEUsage: "r", ActionSetScopeOwner: "raj"},
	} {
		tx := accountStore()
		putVersions(tx, SchemaVersion, level)
		for action, may := range who {
			for letter, account := range map[string]string{"r": RootAccount, "a": "ann", "j": "joe", "s": "sue", "-": ""} {
				want := command.CodeAccessDenied
				if strings.Contains(may, letter) {
					want = command.CodeOK
				}
				require.Equal(t, want, CodeOf(Authorize(tx, account, action, "user.joe")), "level %d, action %d by %q", level, action, account)
			}
			require.Equal(t, command.CodeAccessDenied, CodeOf(Authorize(tx, "joe", action, "other")), "level %d, action %d", level, action)
		}
	}
}

func TestEveryActionHasARule(t *testing.T) {
	for action := Action(1); int(action) < len(actions); action++ {
		require.NotNil(t, actions[action].may, "action %d", action)
		require.Contains(t, actions[action].refusal, "Account %[1]s can not ", "action %d", action)
	}
}

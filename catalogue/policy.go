package catalogue

import (
	"fmt"
	"strings"

	"dapple/command"
)

// Action is something that needs permission. What an action is about is given to Authorize as its objects, which the comments
// name.
type Action int

// The actions.
const (
	ActionAddAccount Action = iota + 1
	ActionDeleteAccount
	ActionUpdateAccount // property
	ActionAddAccountAttribute
	ActionDeleteAccountAttribute
	ActionAddIdentity
	ActionDeleteIdentity
	ActionAddScope
	ActionRevokeTokens // account
	ActionAddRSE
	ActionUpdateRSE
	ActionDeleteRSE
	ActionAddRSEAttribute
	ActionDeleteRSEAttribute
	ActionAddProtocol     // RSE
	ActionUpdateProtocols // RSE
	ActionDeleteProtocols // RSE
	ActionAddDistance
	ActionUpdateDistance
	ActionDeleteDistance
	ActionSetRSEUsage            // RSE
	ActionSetRSELimit            // RSE
	ActionSetScopeOwner          // scope
	ActionAddDID                 // scope
	ActionAddDIDs                // scope
	ActionAttach                 // scope, name
	ActionAttachMany             // scope
	ActionDetach                 // scope, name
	ActionSetMetadata            // scope, name
	ActionCloseDID               // scope, name
	ActionReopenDID              // scope, name
	ActionResurrect              //
	ActionAddReplicas            // RSE
	ActionSkipAvailability       // RSE
	ActionUpdateReplicas         // RSE
	ActionDeleteReplicas         // RSE
	ActionDeclareBad             // RSE
	ActionDeclareSuspicious      //
	ActionDeclareBadPFNs         //
	ActionDeclareBadOrSuspicious //
	ActionSetTombstones          //
	ActionQuarantine             // RSE
	ActionSetSetting             // setting
	ActionAddJoinToken           //
	ActionChangePassword         // user name
	ActionResetPassword          // user name
	ActionManageSigningKeys      //
	ActionOperate                // what: the operation of the cluster
)

// permission decides for one account about the objects of an action.
type permission func(v View, account string, objects []string) (bool, error)

// actions says for every action who may do it and what is told to the others: %[1]s is the account, the objects follow.
var actions = [...]struct {
	may     permission
	refusal string
}{
	ActionAddAccount:             {onlyRoot, "Account %[1]s can not add account. "},
	ActionDeleteAccount:          {onlyRoot, "Account %[1]s can not delete account. "},
	ActionUpdateAccount:          {admins, "Account %[1]s can not change %[2]s  of the account. "},
	ActionAddAccountAttribute:    {admins, "Account %[1]s can not add attributes. "},
	ActionDeleteAccountAttribute: {admins, "Account %[1]s can not delete attribute. "},
	ActionAddIdentity:            {admins, "Account %[1]s can not add account identity. "},
	ActionDeleteIdentity:         {admins, "Account %[1]s can not delete account identity. "},
	ActionAddScope:               {admins, "Account %[1]s can not add scope. "},
	ActionRevokeTokens:           {selfOrAdmins, "Account %[1]s can not revoke tokens of %[2]s. "},
	ActionAddRSE:                 {admins, "Account %[1]s can not add RSE. "},
	ActionUpdateRSE:              {admins, "Account %[1]s can not update RSE. "},
	ActionDeleteRSE:              {admins, "Account %[1]s can not delete RSE. "},
	ActionAddRSEAttribute:        {admins, "Account %[1]s can not add RSE attributes. "},
	ActionDeleteRSEAttribute:     {admins, "Account %[1]s can not delete RSE attributes. "},
	ActionAddProtocol:            {admins, "Account %[1]s can not add protocols to RSE %[2]s. "},
	ActionUpdateProtocols:        {admins, "Account %[1]s can not update protocols from RSE %[2]s. "},
	ActionDeleteProtocols:        {admins, "Account %[1]s can not delete protocols from RSE %[2]s. "},
	ActionAddDistance:            {admins, "Account %[1]s can not add RSE distances. "},
	ActionUpdateDistance:         {admins, "Account %[1]s can not update RSE distances. "},
	ActionDeleteDistance:         {admins, "Account %[1]s can not delete RSE distances. "},
	ActionSetRSEUsage:            {sinceLevel2(onlyRoot, admins), "Account %[1]s can not update RSE usage information for RSE %[2]s. "},
	ActionSetRSELimit:            {admins, "Account %[1]s can not update RSE limits for RSE %[2]s. "},
	ActionSetScopeOwner:          {sinceLevel2(owners, admins), "Account %[1]s can not change ownership of scope %[2]s. "},
	ActionAddDID:                 {ownersOrMock, "Account %[1]s can not add data identifier to scope %[2]s. "},
	ActionAddDIDs:                {ownersOrMock, "Account %[1]s can not bulk add data identifier. "},
	ActionAttach:                 {ownersOrMock, "Account %[1]s can not add data identifiers to %[2]s:%[3]s. "},
	ActionAttachMany:             {owners, "Account %[1]s can not add data identifiers. "},
	ActionDetach:                 {ownersOrMock, "Account %[1]s can not detach data identifiers from %[2]s:%[3]s. "},
	ActionSetMetadata:            {owners, "Account %[1]s can not add metadata to data identifier %[2]s:%[3]s. "},
	ActionCloseDID:               {owners, "Account %[1]s can not set status on data identifier %[2]s:%[3]s. "},
	ActionReopenDID:              {admins, "Account %[1]s can not set status on data identifier %[2]s:%[3]s. "},
	ActionResurrect:              {admins, "Account %[1]s can not resurrect data identifiers. "},
	ActionAddReplicas:            {openRSEs, "Account %[1]s can not add file replicas on %[2]s. "},
	ActionSkipAvailability:       {admins, "Account %[1]s can not skip the availability check on %[2]s. "},
	ActionUpdateReplicas:         {admins, "Account %[1]s can not update file replicas state on %[2]s. "},
	ActionDeleteReplicas:         {admins, "Account %[1]s can not delete file replicas on %[2]s. "},
	ActionDeclareBad:             {onlyRoot, "Account %[1]s can not declare bad replicas in RSE %[2]s. "},
	ActionDeclareSuspicious:      {anyone, "Account %[1]s can not declare suspicious replicas. "},
	ActionDeclareBadPFNs:         {onlyRoot, "Account %[1]s can not declare bad PFNs. "},
	ActionDeclareBadOrSuspicious: {onlyRoot, "Account %[1]s can not declare bad PFN or DIDs. "},
	ActionSetTombstones:          {admins, "Account %[1]s can not set tombstones. "},
	ActionQuarantine:             {admins, "Account %[1]s can not add quarantined replicas on %[2]s. "},
	ActionSetSetting:             {onlyRoot, "Account %[1]s can not change the setting %[2]s of the cluster. "},
	ActionAddJoinToken:           {onlyRoot, "Account %[1]s can not make join tokens. "},
	ActionChangePassword:         {ownPassword, "Account %[1]s can not change the password of %[2]s. "},
	ActionResetPassword:          {resetPassword, "Account %[1]s can not reset the password of %[2]s. "},
	ActionManageSigningKeys:      {onlyRoot, "Account %[1]s can not manage signing keys. "},
	ActionOperate:                {admins, "Account %[1]s can not %[2]s. "},
}

// Authorize returns CodeAccessDenied unless the issuer may do the action to the objects, or an error of the store. Accounts that
// are suspended or deleted may do nothing.
func Authorize(v View, issuer string, action Action, objects ...string) error {
	if action <= 0 || int(action) >= len(actions) {
		return fmt.Errorf("no policy for action %d", action)
	}
	allowed := issuer == RootAccount
	if !allowed && issuer != "" {
		a, found, err := findAccount(v, issuer)
		if err != nil {
			return err
		}
		if !found || a.Status == AccountActive {
			if allowed, err = actions[action].may(v, issuer, objects); err != nil {
				return err
			}
		}
	}
	if allowed {
		return nil
	}
	args := make([]any, 1, 1+len(objects))
	args[0] = issuer
	for _, o := range objects {
		args = append(args, o)
	}
	return Errorf(command.CodeAccessDenied, actions[action].refusal, args...)
}

// IsAdmin reports whether an account may do everything: root, and accounts with the attribute admin, unless its value is
// false.
func IsAdmin(v View, account string) (bool, error) {
	if account == RootAccount {
		return true, nil
	}
	value, found, err := accountAttribute(v, account, "admin")
	return found && value != "false", err
}

func onlyRoot(View, string, []string) (bool, error) { return false, nil }

// sinceLevel2 decides by one rule from feature level 2 on, and by another below.
func sinceLevel2(rule, before permission) permission {
	return func(v View, account string, objects []string) (bool, error) {
		level, err := FeatureLevel(v)
		if err != nil {
			return false, err
		}
		if level < 2 {
			return before(v, account, objects)
		}
		return rule(v, account, objects)
	}
}

func anyone(View, string, []string) (bool, error) { return true, nil }

func admins(v View, account string, _ []string) (bool, error) { return IsAdmin(v, account) }

func selfOrAdmins(v View, account string, objects []string) (bool, error) {
	if objects[0] == account {
		return true, nil
	}
	return IsAdmin(v, account)
}

// owners allows the account that owns the scope, which is the first object.
func owners(v View, account string, objects []string) (bool, error) {
	if admin, err := IsAdmin(v, account); err != nil || admin {
		return admin, err
	}
	scope, err := GetScope(v, objects[0])
	if CodeOf(err) == command.CodeScopeNotFound {
		return false, nil
	}
	return err == nil && scope.Account == account, err
}

func ownersOrMock(v View, account string, objects []string) (bool, error) {
	if objects[0] == "mock" {
		return true, nil
	}
	return owners(v, account, objects)
}

// openRSEs allows everybody at RSEs whose name, the first object, ends so.
func openRSEs(v View, account string, objects []string) (bool, error) {
	for _, suffix := range [...]string{"SCRATCHDISK", "USERDISK", "MOCK", "LOCALGROUPDISK"} {
		if strings.HasSuffix(objects[0], suffix) {
			return true, nil
		}
	}
	return IsAdmin(v, account)
}

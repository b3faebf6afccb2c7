package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func set(name, value string) *command.SetSetting {
	return &command.SetSetting{Setting: &command.Setting{Name: name, Value: value}}
}

func TestSettings(t *testing.T) {
	s := newDIDStore(t)
	value, err := GetSetting(s.tx, SettingNameSchema)
	require.NoError(t, err)
	require.Empty(t, value)
	didDo(s, "root", SetSetting, set(SettingNameSchema, "generic"))
	value, err = GetSetting(s.tx, SettingNameSchema)
	require.NoError(t, err)
	require.Equal(t, "generic", value)
	all, err := ListSettings(s.tx)
	require.NoError(t, err)
	require.Equal(t, []Setting{{SettingNameSchema, "generic"}}, all)

	for name, refused := range map[string]struct {
		issuer string
		c      *command.SetSetting
		code   command.Code
	}{
		"not root":        {"alice", set(SettingNameSchema, "generic"), command.CodeAccessDenied},
		"unknown setting": {"root", set("name-schemas", "generic"), command.CodeInvalidValue},
		"unknown value":   {"root", set(SettingNameSchema, "gneric"), command.CodeInvalidValue},
		"no setting":      {"root", &command.SetSetting{}, command.CodeInvalidValue},
	} {
		require.Equal(t, refused.code, CodeOf(didTry(s, refused.issuer, SetSetting, refused.c)), name)
	}
	didDo(s, "root", SetSetting, set(SettingNameSchema, ""))
	all, err = ListSettings(s.tx)
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestFeatureLevel(t *testing.T) {
	tx := NewMemTx()
	old := genesisCommand()
	old.Features = 0
	_, err := Genesis(tx, Stamp{Revision: 1, Time: 1}, old)
	require.NoError(t, err)
	level := func() (schema, features uint64) {
		schema, err := Schema(tx)
		require.NoError(t, err)
		features, err = FeatureLevel(tx)
		require.NoError(t, err)
		return schema, features
	}
	schema, features := level()
	require.EqualValues(t, SchemaVersion, schema)
	require.Zero(t, features)

	raise := func(issuer string, to uint32) error {
		_, err := RaiseFeatures(tx, Stamp{Revision: 2, Time: 2, Issuer: issuer}, &command.RaiseFeatures{Level: to})
		return err
	}
	require.Equal(t, command.CodeAccessDenied, CodeOf(raise("root", 1)), "only the cluster itself may")
	require.NoError(t, raise("", NewestFeatureLevel))
	require.NoError(t, raise("", 0), "it never falls")
	schema, features = level()
	require.EqualValues(t, SchemaVersion, schema)
	require.EqualValues(t, NewestFeatureLevel, features)
	err = raise("", NewestFeatureLevel+1)
	require.Error(t, err)
	require.Equal(t, command.CodeInternal, CodeOf(err), "a program that does not know the level stops")
}

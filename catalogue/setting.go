package catalogue

import (
	"slices"
	"strings"

	"dapple/command"
)

// A setting of the cluster is a named text that all nodes share. Apply reads settings, so that they are part of the replicated
// state: a flag of one node would make the nodes drift apart.

// systemSetting is the prefix of the keys of settings; they are stored.
const systemSetting = "setting/"

// MaxSettingValue bounds the value of a setting in bytes.
const MaxSettingValue = 4096

// settingKind is one kind of setting.
type settingKind struct {
	// name is the setting's, or with a slash at its end what the names of a group begin with.
	name string
	// check returns a refusal of a value, which is not empty. rest is the name without that of the group.
	check func(rest, value string) error
	// change returns a refusal of a change, to "" too, that the state does not allow; nil allows any.
	change func(v View, rest, value string) error
}

// settingKinds is every setting that there is, in the order of their names.
var settingKinds = [...]settingKind{
	{SettingPathTraversal, checkPathTraversal, nil},
	{SettingDefaultPathAlgorithm, checkDefaultPathAlgorithm, mayChangeDefaultPathAlgorithm},
	{SettingNameSchema, checkNameSchema, nil},
	{SettingPathAlgorithm, checkPathAlgorithm, mayChangePathAlgorithm},
	{SettingResurrectWindow, checkResurrectWindow, nil},
}

// SettingNameSchema is the name of the setting that says which syntax names have.
const SettingNameSchema = "name-schema"

// kindOfSetting finds the kind of a setting by its name, and what the name has beyond that of its group.
func kindOfSetting(name string) (kind settingKind, rest string, found bool) {
	for _, k := range settingKinds {
		if rest, found = strings.CutPrefix(name, k.name); found && strings.HasSuffix(k.name, "/") == (rest != "") {
			return k, rest, true
		}
	}
	return settingKind{}, "", false
}

// SettingNames lists the names of the settings that there are; one that ends with a slash is a group, whose settings
// have names of their own behind it.
func SettingNames() []string {
	names := make([]string, 0, len(settingKinds))
	for _, k := range settingKinds {
		names = append(names, k.name)
	}
	return slices.Clip(names)
}

// ValidateSetting returns a refusal of a setting that does not exist or may not have the value. An empty value, which takes
// the setting back to its default, fits every setting.
func ValidateSetting(name, value string) error {
	kind, rest, found := kindOfSetting(name)
	switch {
	case !found:
		return Errorf(command.CodeInvalidValue, "unknown setting '%s': the settings are %s", name, strings.Join(SettingNames(), ", "))
	case len(value) > MaxSettingValue || !isPlainText(value) || !isPlainText(name):
		return Errorf(command.CodeInvalidValue, "setting '%s': a value is text of up to %d bytes", name, MaxSettingValue)
	case value == "":
		return nil
	}
	return kind.check(rest, value)
}

// GetSetting returns the value of a setting, "" where it has its default.
func GetSetting(v View, name string) (string, error) {
	b, found, err := v.Get(SystemKey(systemSetting + name))
	if err != nil || !found {
		return "", err
	}
	r := newRecordReader(b, systemFormat)
	value := r.string()
	return value, recordError(r.done(), "setting", name)
}

// Setting is a setting of the cluster that has not its default.
type Setting struct{ Name, Value string }

// ListSettings returns the settings that have not their defaults, in the order of their names.
func ListSettings(v View) ([]Setting, error) {
	all := []Setting{}
	low := SystemKey(systemSetting)
	err := v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		name := string(key[len(low):])
		r := newRecordReader(value, systemFormat)
		all = append(all, Setting{Name: name, Value: r.string()})
		return true, recordError(r.done(), "setting", name)
	})
	return all, err
}

// putSetting stores a setting; an empty value deletes it.
func putSetting(tx Tx, name, value string) {
	key := SystemKey(systemSetting + name)
	if value == "" {
		tx.Delete(key)
		return
	}
	tx.Put(key, appendString([]byte{systemFormat}, value))
}

// SetSetting sets a setting of the cluster, as root.
func SetSetting(tx Tx, at Stamp, c *command.SetSetting) ([]byte, error) {
	name, value := c.GetSetting().GetName(), c.GetSetting().GetValue()
	if err := ValidateSetting(name, value); err != nil {
		return nil, err
	}
	if err := Authorize(tx, at.Issuer, ActionSetSetting, name); err != nil {
		return nil, err
	}
	if kind, rest, _ := kindOfSetting(name); kind.change != nil {
		if err := kind.change(tx, rest, value); err != nil {
			return nil, err
		}
	}
	old, err := GetSetting(tx, name)
	if err != nil {
		return nil, err
	}
	putSetting(tx, name, value)
	tx.Note(at, Change{Kind: ChangeSettingChanged, Key: name, Old: old, New: value})
	return nil, nil
}

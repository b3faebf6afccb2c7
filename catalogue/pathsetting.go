package catalogue

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"dapple/command"
)

// Settings of the cluster that add path algorithms and choose the one of RSEs that name none.
const (
	// SettingPathAlgorithm begins the names of path algorithms; the value of each is a template.
	SettingPathAlgorithm = "path-algorithm/"
	// SettingDefaultPathAlgorithm is the algorithm of RSEs without the attribute lfn2pfn_algorithm.
	SettingDefaultPathAlgorithm = "default-path-algorithm"
)

var algorithmName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\z`)

func isBuiltInAlgorithm(name string) bool { return name == algorithmHash || name == algorithmIdentity }

// checkPathAlgorithm checks name and template of a path algorithm.
func checkPathAlgorithm(name, value string) error {
	switch {
	case isBuiltInAlgorithm(name) || name == algorithmDefault:
		return Errorf(command.CodeInvalidValue, "path algorithm '%s' is built in and cannot be changed", name)
	case !algorithmName.MatchString(name):
		return Errorf(command.CodeInvalidValue, "path algorithm '%.64s': a name has up to 64 letters, digits and _ . -", name)
	}
	_, err := newPathTemplate(value)
	return err
}

// checkDefaultPathAlgorithm checks the syntax alone: which algorithms there are is known when the setting is applied.
func checkDefaultPathAlgorithm(_, value string) error {
	if value == algorithmDefault || !algorithmName.MatchString(value) {
		return Errorf(command.CodeInvalidValue, "'%.64s' is no name of a path algorithm", value)
	}
	return nil
}

// PathAlgorithms lists the names of the path algorithms that there are, the built-in ones first.
func PathAlgorithms(v View) ([]string, error) {
	names := []string{algorithmHash, algorithmIdentity}
	settings, err := ListSettings(v)
	for _, s := range settings {
		if name, found := strings.CutPrefix(s.Name, SettingPathAlgorithm); found {
			names = append(names, name)
		}
	}
	return names, err
}

// requirePathAlgorithm returns CodeInvalidValue where there is no such path algorithm.
func requirePathAlgorithm(v View, name string) error {
	names, err := PathAlgorithms(v)
	if err == nil && !slices.Contains(names, name) {
		err = Errorf(command.CodeInvalidValue, "unknown path algorithm '%.64s': the path algorithms are %s", name, strings.Join(names, ", "))
	}
	return err
}

// loadPaths reads what the settings of the cluster say about the paths of an RSE.
func (r *RSE) loadPaths(v View) (err error) {
	if r.defaultAlgorithm, err = GetSetting(v, SettingDefaultPathAlgorithm); err != nil {
		return err
	}
	name := r.PathAlgorithm()
	if isBuiltInAlgorithm(name) {
		return nil
	}
	text, err := GetSetting(v, SettingPathAlgorithm+name)
	if err != nil || text == "" {
		return err
	}
	if r.template, err = parsePathTemplate(text); err != nil {
		err = fmt.Errorf("%w: path algorithm %q: %v", ErrRecord, name, err) //nolint:errorlint // no refusal: it was checked when it was set
	}
	return err
}

// mayChangePathAlgorithm refuses a change of a path algorithm that would move files: one that an RSE uses cannot be taken away,
// and one of an RSE with files not be changed.
func mayChangePathAlgorithm(v View, name, value string) error {
	old, err := GetSetting(v, SettingPathAlgorithm+name)
	if err != nil || old == value {
		return err
	}
	if value == "" {
		standard, err := GetSetting(v, SettingDefaultPathAlgorithm)
		if err == nil && standard == name {
			err = Errorf(command.CodeUnsupportedOperation, "path algorithm '%s' is the default of the cluster: set %s to another one first",
				name, SettingDefaultPathAlgorithm)
		}
		if err != nil {
			return err
		}
	}
	return refuseUsed(v, "path algorithm '"+name+"'", func(r *RSE) (bool, error) {
		if r.PathAlgorithm() != name {
			return false, nil
		}
		if value == "" {
			return true, nil
		}
		return holdsFiles(v, r)
	})
}

// mayChangeDefaultPathAlgorithm refuses a default that does not exist, and to change that of RSEs with files.
func mayChangeDefaultPathAlgorithm(v View, _, value string) error {
	if value != "" {
		if err := requirePathAlgorithm(v, value); err != nil {
			return err
		}
	} else {
		value = algorithmHash
	}
	return refuseUsed(v, SettingDefaultPathAlgorithm, func(r *RSE) (bool, error) {
		if name, found := r.Attribute(AttributePathAlgorithm); found && name != "" && name != algorithmDefault || r.PathAlgorithm() == value {
			return false, nil
		}
		return holdsFiles(v, r)
	})
}

// holdsFiles reports whether an RSE has files at paths that its algorithm makes.
func holdsFiles(v View, r *RSE) (bool, error) {
	if !r.Deterministic {
		return false, nil
	}
	held, err := GetCounters(v, r.ID)
	return err == nil && held.Total().Files != 0, err
}

// refuseUsed returns CodeUnsupportedOperation with the names of the RSEs that use what is to be changed.
func refuseUsed(v View, what string, uses func(*RSE) (bool, error)) error {
	const named = 10
	var users []string
	err := ListRSEs(v, func(r *RSE) error {
		used, err := uses(r)
		if used && len(users) <= named {
			users = append(users, r.Name)
		}
		return err
	})
	if err != nil || len(users) == 0 {
		return err
	}
	if len(users) > named {
		users = append(users[:named], "and others")
	}
	return Errorf(command.CodeUnsupportedOperation, "%s makes the paths of RSEs, which would change: %s", what, strings.Join(users, ", "))
}

// checkTemplatePath refuses a file of which the template of the RSE makes a path that leads elsewhere.
func (r *RSE) checkTemplatePath(scope, name string) error {
	if r.template == nil {
		return nil
	}
	path := r.Path(scope, name)
	for directory := range strings.SplitSeq(path, "/") {
		if path == "" || directory == "." || directory == ".." {
			return Errorf(command.CodeInvalidPath, "the path algorithm '%s' of RSE '%s' makes the path '%.256s' of %s:%s, which is no path of a file",
				r.PathAlgorithm(), r.Name, path, scope, name)
		}
	}
	return nil
}

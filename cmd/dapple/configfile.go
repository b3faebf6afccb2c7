package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configFile is the value of --config: a YAML file whose keys are the names of the flags, for example `node-id: a`. A flag
// on the command line wins over the environment, the environment over the file.
type configFile string

// BeforeResolve reads the file before kong looks for values that the command line does not give.
func (c configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	name := string(ctx.FlagValue(trace.Flag).(configFile))
	if name == "" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	values := map[string]any{}
	if err := yaml.NewDecoder(f).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := checkKeys(name, values, ctx.Selected()); err != nil {
		return err
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, env := range flag.Envs {
			if _, set := os.LookupEnv(env); set {
				return nil, nil
			}
		}
		for _, key := range append([]string{flag.Name}, flag.Aliases...) {
			if value, given := values[key]; given {
				return flagValue(value), nil
			}
		}
		return nil, nil
	}))
	return nil
}

// checkKeys refuses keys that are no flag of the command: a misspelt setting must not be passed over.
func checkKeys(name string, values map[string]any, command *kong.Node) error {
	var known, all []string
	for _, group := range command.AllFlags(false) {
		for _, flag := range group {
			known = append(known, flag.Name)
			all = append(append(all, flag.Name), flag.Aliases...)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(all, key) {
			return fmt.Errorf("%s: unknown setting %q; did you mean %q?", name, key, nearest(key, known))
		}
	}
	return nil
}

// flagValue turns a YAML list into the comma-separated form that list flags take.
func flagValue(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	items := make([]string, len(list))
	for i, item := range list {
		items[i] = fmt.Sprint(item)
	}
	return strings.Join(items, ",")
}

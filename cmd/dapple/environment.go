package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/alecthomas/kong"
)

// variablePrefix is what the names of this program's environment variables begin with.
const variablePrefix = "DAPPLE_"

// Kubernetes gives every container the addresses of the services of its namespace: DAPPLE_SERVICE_HOST, DAPPLE_SERVICE_PORT,
// DAPPLE_SERVICE_PORT_<NAME>, DAPPLE_PORT and DAPPLE_PORT_<NUMBER>_<PROTOCOL> with three more for a service named dapple, and
// the same with DAPPLE_<REST> for a service named dapple-<rest>.
var (
	serviceVariable = regexp.MustCompile(`^DAPPLE(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	servicePort     = regexp.MustCompile(`^DAPPLE(_[A-Z0-9_]+)?_PORT=(tcp|udp|sctp)://`)
)

// checkEnvironment returns an error for a variable with this program's prefix that no flag of any command has: a misspelt
// setting must not be passed over. environ is a list of NAME=VALUE. Variables of other commands are let through, since
// commands may share an environment, and so is what Kubernetes sets for its services.
func checkEnvironment(model *kong.Node, environ []string) error {
	known, all := variables(model)
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, variablePrefix) || slices.Contains(all, name) ||
			serviceVariable.MatchString(name) || servicePort.MatchString(entry) {
			continue
		}
		return fmt.Errorf("unknown environment variable %s; did you mean %s?", name, nearest(name, known))
	}
	return nil
}

// variables returns the variables of all flags as they are documented, and those with the spellings of earlier versions.
func variables(model *kong.Node) (known, all []string) {
	known, all = []string{rootPasswordVariable, joinTokenVariable}, []string{rootPasswordVariable, joinTokenVariable}
	var visit func(*kong.Node)
	visit = func(node *kong.Node) {
		for _, flag := range node.Flags {
			if len(flag.Tag.Envs) > 0 {
				known, all = append(known, flag.Tag.Envs[0]), append(all, flag.Tag.Envs...)
			}
		}
		for _, child := range node.Children {
			visit(child)
		}
	}
	visit(model)
	return known, all
}

// nearest returns the one of known, which is not empty, that a misspelt name most likely means.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int {
		return levenshtein.Distance(name, a, nil) - levenshtein.Distance(name, b, nil)
	})
}

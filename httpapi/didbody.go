package httpapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"dapple/catalogue"
	"dapple/command"
)

// didName reads scope and name, which must be there and be such as DIDs may have under some schema.
func didName(item object) (scope, name string, err error) {
	if scope, err = item.requiredString("scope"); err != nil {
		return "", "", err
	}
	if name, err = item.requiredString("name"); err != nil {
		return "", "", err
	}
	return scope, name, validateDID(scope, name)
}

func validateDID(scope, name string) error {
	if err := catalogue.ValidateName("scope", scope); err != nil {
		return err
	}
	return catalogue.ValidateName("name", name)
}

// didNames reads the list of DIDs under the key dids.
func didNames(body object, limit int, required bool) ([]catalogue.DIDName, error) {
	if !required && !body.has("dids") {
		return nil, nil
	}
	raw, err := body.required("dids")
	if err != nil {
		return nil, err
	}
	if names, ok := scanNames(raw, limit); ok {
		return names, nil
	}
	return decodeNames(raw, limit)
}

// eachOnce leaves names out that came before.
func eachOnce(names []catalogue.DIDName) []catalogue.DIDName {
	once, seen := make([]catalogue.DIDName, 0, len(names)), make(map[catalogue.DIDName]bool, len(names))
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			once = append(once, n)
		}
	}
	return once
}

// decodeNames reads a list of DIDs with encoding/json.
func decodeNames(raw json.RawMessage, limit int) ([]catalogue.DIDName, error) {
	items, err := decodeItems[object](raw, "dids", limit)
	if err != nil {
		return nil, err
	}
	names := make([]catalogue.DIDName, len(items))
	for i, item := range items {
		if names[i].Scope, names[i].Name, err = didName(item); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// newCollections reads the list of POST /dids.
func newCollections(items []object, limit int) (*command.AddDIDs, error) {
	add, left := &command.AddDIDs{Bulk: true}, limit
	for _, item := range items {
		scope, name, err := didName(item)
		if err != nil {
			return nil, err
		}
		n, err := readCollection(item, scope, name, &left, false)
		if err != nil {
			return nil, err
		}
		if n.Account, err = item.optionalString("account"); err != nil {
			return nil, err
		}
		add.Dids = append(add.Dids, n)
	}
	return add, nil
}

// newCollection reads the body of POST /dids/<scope>/<name>.
func newCollection(body object, scope, name string, limit int) (*command.NewCollection, error) {
	if err := validateDID(scope, name); err != nil {
		return nil, err
	}
	return readCollection(body, scope, name, &limit, true)
}

// readCollection reads what is the same in both; strict also reads types in any case and refuses children with unknown keys.
func readCollection(body object, scope, name string, left *int, strict bool) (*command.NewCollection, error) {
	t, err := body.requiredString("type")
	if err != nil {
		return nil, err
	}
	if strict {
		t = strings.ToUpper(t)
	}
	n := &command.NewCollection{Scope: scope, Name: name}
	switch t {
	case "DATASET":
		n.Type = uint32(catalogue.TypeDataset)
	case "CONTAINER":
		n.Type = uint32(catalogue.TypeContainer)
	case "FILE":
		n.Type = uint32(catalogue.TypeFile) // the command refuses it
	default:
		return nil, catalogue.Errorf(command.CodeInvalidObject, "Problem validating did: '%.40s' is not one of DATASET, CONTAINER, FILE", t)
	}
	statuses, err := body.optionalObject("statuses")
	if err != nil {
		return nil, err
	}
	if n.Monotonic, err = statuses.optionalBool("monotonic", false); err != nil {
		return nil, err
	}
	if n.Meta, err = metadataOf(body); err != nil {
		return nil, err
	}
	if err := addLifetime(body, n); err != nil {
		return nil, err
	}
	if err := refuseRules(body); err != nil {
		return nil, err
	}
	if n.Rse, err = rseName(body); err != nil {
		return nil, err
	}
	if body.has("dids") {
		n.Children, err = newChildren(body["dids"], left, strict)
	}
	return n, err
}

// addLifetime puts the lifetime, in seconds, beside the metadata; 0 and null are none.
func addLifetime(body object, n *command.NewCollection) error {
	if !body.has("lifetime") {
		return nil
	}
	seconds, err := decodeField[float64](body["lifetime"], "lifetime", "a number of seconds")
	if err != nil || seconds == 0 {
		return err
	}
	if n.Meta == nil {
		n.Meta = map[string]string{}
	}
	n.Meta["lifetime"] = string(body["lifetime"])
	return nil
}

// refuseRules refuses replication rules, which this catalogue does not have, rather than forget them silently.
func refuseRules(body object) error {
	if !body.has("rules") {
		return nil
	}
	rules, err := decodeField[[]json.RawMessage](body["rules"], "rules", "a list")
	if err == nil && len(rules) > 0 {
		err = catalogue.Errorf(command.CodeUnsupportedOperation, "Replication rules are not supported")
	}
	return err
}

// rseName reads the name of an RSE, "" where there is none.
func rseName(body object) (string, error) {
	name, err := body.optionalString("rse")
	if err != nil || name == "" {
		return "", err
	}
	return name, catalogue.ValidateName("rse", name)
}

// onlyKeys refuses keys that an object does not have; of several it names the first in their order, so that a request has one answer.
func onlyKeys(what string, item object, known ...string) error {
	for _, key := range slices.Sorted(maps.Keys(item)) {
		if !slices.Contains(known, key) {
			return catalogue.Errorf(command.CodeInvalidObject, "Problem validating %s: additional property '%.40s' is not allowed", what, key)
		}
	}
	return nil
}

// newChildren reads DIDs that are to be attached; left counts down what a request may still name. strict refuses unknown keys, and
// null for what has a type.
func newChildren(raw json.RawMessage, left *int, strict bool) ([]*command.Child, error) {
	children, ok := scanChildren(raw, *left, strict)
	if !ok {
		var err error
		if children, err = decodeChildren(raw, *left, strict); err != nil {
			return nil, err
		}
	}
	*left -= len(children)
	return children, nil
}

// decodeChildren is newChildren with encoding/json: it reads what scanChildren does not, and has the words of the refusals.
func decodeChildren(raw json.RawMessage, limit int, strict bool) ([]*command.Child, error) {
	items, err := decodeItems[object](raw, "dids", limit)
	if err != nil {
		return nil, err
	}
	children := make([]*command.Child, len(items))
	for i, item := range items {
		if children[i], err = newChild(item, strict); err != nil {
			return nil, err
		}
	}
	return children, nil
}

var (
	adlerPattern = regexp.MustCompile(`\A[a-fA-F0-9]{8}\z`)
	md5Pattern   = regexp.MustCompile(`\A[a-fA-F0-9]{32}\z`)
)

func newChild(item object, strict bool) (*command.Child, error) {
	if strict {
		err := onlyKeys("dids", item, "scope", "name", "type", "meta", "rules", "bytes", "adler32", "md5", "state", "pfn")
		if err != nil {
			return nil, err
		}
		for key, value := range item {
			if bytes.Equal(value, []byte("null")) {
				return nil, catalogue.Errorf(command.CodeInvalidObject, "Problem validating dids: '%s' is null", key)
			}
		}
	}
	for _, key := range [...]string{"scope", "name"} {
		if _, found := item[key]; !found {
			return nil, catalogue.Errorf(command.CodeInvalidObject, "Problem validating dids: '%s' is a required property", key)
		}
	}
	f := &command.NewFile{}
	var err error
	if f.Scope, f.Name, err = didName(item); err != nil {
		return nil, err
	}
	if err := checkChildType(item); err != nil {
		return nil, err
	}
	if f.Bytes, err = item.optionalUint("bytes", catalogue.MaxFileBytes, 0); err != nil {
		return nil, err
	}
	if f.Adler32, err = checksum(item, "adler32", adlerPattern); err != nil {
		return nil, err
	}
	if f.Md5, err = checksum(item, "md5", md5Pattern); err != nil {
		return nil, err
	}
	if f.Pfn, err = item.optionalString("pfn"); err != nil {
		return nil, err
	}
	if f.State, err = childState(item); err != nil {
		return nil, err
	}
	f.Meta, err = metadataOf(item)
	return &command.Child{File: f, HasBytes: item.has("bytes")}, err
}

func checkChildType(item object) error {
	t, err := item.optionalString("type")
	if err != nil {
		return err
	}
	if knownChildType(t) {
		return nil
	}
	return catalogue.Errorf(command.CodeInvalidObject, "Problem validating dids: '%.40s' is no type of DIDs: the types are %s", t, strings.Join(didTypes, ", "))
}

func knownChildType(t string) bool {
	switch t {
	case "", "DATASET", "CONTAINER", "FILE", "F":
		return true
	}
	return false
}

func checksum(item object, key string, pattern *regexp.Regexp) (string, error) {
	text, err := item.optionalString(key)
	if err == nil && text != "" && !pattern.MatchString(text) {
		err = catalogue.Errorf(command.CodeInvalidObject, "Problem validating dids: %s '%.64s' does not match '%s'", key, text, pattern)
	}
	return text, err
}

// childState reads the state of a replica by its letter; 0 where there is none.
func childState(item object) (uint32, error) {
	text, err := item.optionalString("state")
	if err != nil || text == "" {
		return 0, err
	}
	if len(text) != 1 || !command.IsReplicaState(uint32(text[0])) {
		return 0, catalogue.Errorf(command.CodeInvalidObject, "Problem validating dids: '%.40s' is no state of replicas: the states are %s", text,
			strings.Join(stateLetters, ", "))
	}
	return uint32(text[0]), nil
}

// metadataOf reads the object of metadata under "meta" into compact JSON by key, nil where it is missing, null or an empty
// list.
func metadataOf(item object) (map[string]string, error) {
	const key = "meta"
	if !item.has(key) || string(item[key]) == "[]" {
		return nil, nil
	}
	scanner := jsonScanner{b: item[key]}
	if meta, err := scanner.metadata(); err == nil {
		return meta, nil
	}
	fields, err := item.optionalObject(key)
	if err != nil {
		return nil, err
	}
	meta := make(map[string]string, len(fields))
	for key, value := range fields {
		if meta[key], err = compactJSON(value); err != nil {
			return nil, err
		}
	}
	return meta, nil
}

func compactJSON(raw json.RawMessage) (string, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return "", catalogue.Errorf(command.CodeInvalidJSON, "cannot decode json parameter")
	}
	return b.String(), nil
}

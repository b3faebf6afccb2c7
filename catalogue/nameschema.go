package catalogue

import (
	"fmt"
	"slices"
	"strings"

	"dapple/command"
)

// NameSchema is the syntax of new names in a cluster. It is a setting of the cluster (SettingNameSchema). Names that
// exist stay valid when it changes.
type NameSchema struct {
	name                string
	scope, account, rse nameSyntax
	// did is the syntax of the names of DIDs by type; at 0 of those whose type is not known.
	did [4]nameSyntax
	// enforced is false where apply trusts the nodes that proposed a command for the names in it, as below feature level 1.
	enforced bool
	// strictPaths is set where names and paths may not lead out of their directories at the storage.
	strictPaths bool
}

// Lengths of names, which all schemas but those of longer DIDs share.
const (
	maxScopeName   = 25
	maxAccountName = 25
	maxRSEName     = 255
	maxDIDName     = 250
	maxLongDIDName = 500
)

// Syntaxes that several schemas share.
var (
	genericScope   = nameSyntax{`\A[a-zA-Z_\-.0-9]+\z`, maxScopeName, someOf(letters + digits + "_-.")}
	genericAccount = nameSyntax{`\A[a-z0-9\-_]+\z`, maxAccountName, someOf(lowerCase + digits + "-_")}
	genericRSE     = nameSyntax{`\A[A-Z0-9]+([_-][A-Z0-9]+)*\z`, maxRSEName, joined(upperCase + digits)}
	genericDID     = nameSyntax{
		`\A[/A-Za-z0-9][/A-Za-z0-9.\-_]*\z`, maxDIDName, startingWith(letters+digits+"/", letters+digits+"/.-_"),
	}
	// flatDID has no slashes.
	flatDID = nameSyntax{`\A[A-Za-z0-9][A-Za-z0-9.\-_]*\z`, maxDIDName, startingWith(letters+digits, letters+digits+".-_")}
)

// nameSchemas are the values of SettingNameSchema in ascending order of name. A schema never changes, since apply reads
// it: a changed syntax is a new schema, and a new schema needs a new feature level.
var nameSchemas = [...]*NameSchema{
	schemaOf("atlas", flatDID),
	belleIISchema(),
	cmsSchema(),
	schemaOf("ctao", nameSyntax{`\A/[A-Za-z0-9][/A-Za-z0-9.\-_]*\z`, maxDIDName, absolute(letters+digits, letters+digits+"/.-_")}),
	schemaOf("domatpc", flatDID),
	schemaOf("dune", flatDID),
	escapeSchema(),
	schemaOf(defaultNameSchema, genericDID),
	schemaOf("icecube", nameSyntax{
		`\A/[A-Za-z0-9][A-Za-z0-9.\-_/#]*\z`, maxLongDIDName, absolute(letters+digits, letters+digits+".-_/#"),
	}),
	schemaOf("lsst", nameSyntax{`\A[A-Za-z0-9_.\-+~/]+\z`, maxLongDIDName, someOf(letters + digits + "_.-+~/")}),
}

// defaultNameSchema is the schema of clusters that chose none.
const defaultNameSchema = "generic"

// trustingSchema is the schema below feature level 1.
var trustingSchema = func() *NameSchema {
	s := *schemaOf(defaultNameSchema, genericDID)
	s.enforced = false
	return &s
}()

// schemaOf makes a schema that differs from the generic one in the names of DIDs.
func schemaOf(name string, did nameSyntax) *NameSchema {
	return &NameSchema{
		name: name, scope: genericScope, account: genericAccount, rse: genericRSE, did: [4]nameSyntax{did, did, did, did}, enforced: true,
	}
}

// absolute makes the check of names that begin with a slash.
func absolute(first, rest string) func(name string) bool {
	relative := startingWith(first, rest)
	return func(name string) bool { return name != "" && name[0] == '/' && relative(name[1:]) }
}

func belleIISchema() *NameSchema {
	set := letters + digits + ".-_+/"
	s := schemaOf("belleii", nameSyntax{`\A/[A-Za-z0-9.\-_+/]+\z`, maxDIDName, absolute(set, set)})
	s.rse = nameSyntax{`\A[A-Z][A-Za-z0-9\-]*\z`, maxRSEName, startingWith(upperCase, letters+digits+"-")}
	return s
}

func escapeSchema() *NameSchema {
	s := schemaOf("escape", flatDID)
	s.account = nameSyntax{`\A[a-zA-Z0-9\-_]+\z`, maxAccountName, someOf(letters + digits + "-_")}
	return s
}

// cmsSchema is the one schema in which the syntax of a DID's name depends on its type: a container is a dataset of CMS, a
// dataset one of its blocks.
func cmsSchema() *NameSchema {
	const (
		core  = `/[a-zA-Z0-9\-_]{1,99}/[a-zA-Z0-9.\-_]{1,199}/[A-Z0-9\-]{1,99}`
		block = core + `#[a-zA-Z0-9.\-_]{1,100}`
		file  = `/store/[A-Za-z0-9][A-Za-z0-9.\-_/]+`
	)
	s := schemaOf("cms", nameSyntax{`\A(` + file + `|` + core + `|` + block + `)\z`, maxLongDIDName, isCMSName})
	s.did[TypeFile] = nameSyntax{`\A` + file + `\z`, maxLongDIDName, isCMSFile}
	s.did[TypeDataset] = nameSyntax{`\A` + block + `\z`, maxLongDIDName, isCMSBlock}
	s.did[TypeContainer] = nameSyntax{`\A` + core + `\z`, maxLongDIDName, isCMSContainer}
	s.scope = nameSyntax{`\A(cms|logs|(user|group)\.[a-z0-9\-_]+)\z`, maxScopeName, isCMSScope}
	s.rse = nameSyntax{`\AT[0-3]_[A-Z]{2}(_[A-Za-z0-9]+)+\z`, maxRSEName, isCMSRSE}
	return s
}

// NameSchemaNames lists the names of the schemas that there are, in ascending order.
func NameSchemaNames() []string {
	names := make([]string, 0, len(nameSchemas))
	for _, s := range nameSchemas {
		names = append(names, s.name)
	}
	return slices.Clip(names)
}

func findNameSchema(name string) *NameSchema {
	for _, s := range nameSchemas {
		if s.name == name {
			return s
		}
	}
	return nil
}

// checkNameSchema is the check of SettingNameSchema.
func checkNameSchema(_, value string) error {
	if findNameSchema(value) == nil {
		return Errorf(command.CodeInvalidValue, "unknown name schema '%.64s': the schemas are %s", value, strings.Join(NameSchemaNames(), ", "))
	}
	return nil
}

// NameSchemaOf returns the syntax of new names.
func NameSchemaOf(v View) (*NameSchema, error) {
	m := MemoOf(v)
	if m == nil {
		return readNameSchema(v)
	}
	m.mu.RLock()
	held := m.names
	m.mu.RUnlock()
	if held != nil {
		return held, nil
	}
	read, err := readNameSchema(v)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.names = read
	m.mu.Unlock()
	return read, nil
}

func readNameSchema(v View) (*NameSchema, error) {
	level, err := FeatureLevel(v)
	if err != nil {
		return nil, err
	}
	if level < 1 {
		return trustingSchema, nil
	}
	name, err := GetSetting(v, SettingNameSchema)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = defaultNameSchema
	}
	s := findNameSchema(name)
	if s == nil {
		return nil, fmt.Errorf("%w: this program does not know the name schema %q", ErrRecord, name)
	}
	if level < 2 {
		return s, nil
	}
	allowed, err := GetSetting(v, SettingPathTraversal)
	if err != nil || allowed == "true" {
		return s, err
	}
	strict := *s
	strict.strictPaths = true
	return &strict, nil
}

// Name returns the name of the schema.
func (s *NameSchema) Name() string { return s.name }

// Enforced reports whether commands are refused for their names when they are applied. Below feature level 1 only the node that
// proposes a command checks them.
func (s *NameSchema) Enforced() bool { return s.enforced }

// hashInPath reports whether a # belongs to the path of a PFN.
func (s *NameSchema) hashInPath() bool { return s.enforced }

// CheckScope returns CodeInvalidObject for what no new scope may be called.
func (s *NameSchema) CheckScope(name string) error { return s.scope.check("scope", name) }

// CheckAccount returns CodeInvalidObject for what no new account may be called.
func (s *NameSchema) CheckAccount(name string) error { return s.account.check("account", name) }

// CheckRSE returns CodeInvalidObject for what no new RSE may be called.
func (s *NameSchema) CheckRSE(name string) error { return s.rse.check("rse", name) }

// CheckDID returns CodeInvalidObject for what no new DID of a type may be called; of type 0, for what no new DID may.
func (s *NameSchema) CheckDID(t DIDType, name string) error {
	if int(t) >= len(s.did) {
		t = 0
	}
	return s.did[t].check("name", name)
}

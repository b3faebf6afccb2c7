package httpapi

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// metadataPlugin names what part of the metadata an answer has: the fixed keys, the clients' own, or both.
type metadataPlugin struct{ fixed, own bool }

func parsePlugin(name string) (metadataPlugin, error) {
	switch strings.ToUpper(name) {
	case "DID_COLUMN":
		return metadataPlugin{fixed: true}, nil
	case "JSON":
		return metadataPlugin{own: true}, nil
	case "ALL":
		return metadataPlugin{fixed: true, own: true}, nil
	}
	return metadataPlugin{}, catalogue.Errorf(command.CodeUnknownPlugin, "Metadata plugin \"%.60s\" is not enabled on the server: the plugins are DID_COLUMN, JSON and ALL", name)
}

const defaultPlugin = "DID_COLUMN"

// read returns the metadata of a DID as the API shows it. Without fixed keys a DID that does not exist has none.
func (p metadataPlugin) read(v View, scope, name string) (gin.H, error) {
	answer := gin.H{}
	d, err := catalogue.GetDID(v, scope, name)
	if catalogue.CodeOf(err) == command.CodeDIDNotFound && !p.fixed {
		return answer, nil
	}
	if err != nil {
		return nil, err
	}
	meta, err := catalogue.MetadataOf(v, scope, name, d)
	if err != nil {
		return nil, err
	}
	if p.fixed {
		account, err := catalogue.OwnerOf(v, d)
		if err != nil {
			return nil, err
		}
		addFixed(answer, d, meta)
		answer["scope"], answer["name"], answer["account"] = scope, name, account
	}
	if p.own {
		for _, e := range meta {
			if !catalogue.IsFixedMetadata(e.Key) {
				answer[e.Key] = json.RawMessage(e.Value)
			}
		}
	}
	return answer, nil
}

// addFixed adds what the API tells of every DID, but its name and owner.
func addFixed(answer gin.H, d *catalogue.DID, meta []catalogue.MetadataEntry) {
	for _, key := range [...]string{
		"access_cnt", "campaign", "datatype", "events", "guid", "hidden", "is_new", "lumiblocknr", "panda_id", "phys_group", "prod_step",
		"project", "provenance", "purge_replicas", "run_number", "stream_name", "task_id", "transient", "version",
	} {
		value, found := catalogue.FindMetadata(meta, key)
		if !found {
			value, found = catalogue.MetadataDefault(key)
		}
		answer[key] = nil
		if found {
			answer[key] = json.RawMessage(value)
		}
	}
	for _, key := range [...]string{"accessed_at", "eol_at", catalogue.MetaExpiredAt} {
		answer[key] = timeOf(meta, key)
	}
	for _, key := range [...]string{"complete", "deleted_at", "is_open", "length", "bytes", "closed_at", "constituent", "is_archive"} {
		answer[key] = nil
	}
	answer["did_type"], answer["availability"] = d.Type.String(), "AVAILABLE"
	answer["obsolete"], answer["suppressed"], answer["monotonic"] = false, false, d.Monotonic
	answer["created_at"], answer["updated_at"] = formatTime(d.Created), formatTime(d.Updated)
	answer["adler32"], answer["md5"] = textOrNil(d.Adler32), textOrNil(d.MD5)
	if n, known := d.KnownSize(); known {
		answer["bytes"] = n
	}
	if d.Type != catalogue.TypeFile {
		addClosing(answer, d)
	}
	if d.Archive {
		answer["is_archive"] = true
	}
	if d.Constituent {
		answer["constituent"] = true
	}
}

// addClosing adds what the API tells of collections: that they are open, and what they had when they were last closed.
func addClosing(answer gin.H, d *catalogue.DID) {
	answer["is_open"] = d.Open
	n, known := d.KnownLength()
	switch {
	case !known:
		answer["events"] = nil
	case answer["events"] == nil:
		answer["events"] = 0
		fallthrough
	default:
		answer["length"] = n
	}
	if d.ClosedAt != 0 {
		answer["closed_at"] = formatTime(d.ClosedAt)
	}
}

// timeOf returns a time of the metadata as the API writes it, nil where it is not set.
func timeOf(meta []catalogue.MetadataEntry, key string) any {
	text, found := catalogue.FindMetadata(meta, key)
	if !found {
		return nil
	}
	micros, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return formatTime(micros)
}

// getMetadata answers GET /dids/<scope>/<name>/meta.
func (s *Server) getMetadata(c *gin.Context) {
	plugin, err := parsePlugin(c.DefaultQuery("plugin", defaultPlugin))
	if err != nil {
		s.fail(c, err)
		return
	}
	scope, name := didParam(c)
	s.readJSON(c, func(v View) (any, error) { return plugin.read(v, scope, name) })
}

// setMetadata answers POST and PUT /dids/<scope>/<name>/meta.
func (s *Server) setMetadata(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	if _, err := body.required("meta"); err != nil {
		s.fail(c, err)
		return
	}
	if _, err := decodeField[object](body["meta"], "meta", "an object"); err != nil {
		s.fail(c, err)
		return
	}
	meta, err := metadataOf(body)
	s.proposeMetadata(c, body, meta, err)
}

// setMetadataKey answers POST /dids/<scope>/<name>/meta/<key>.
func (s *Server) setMetadataKey(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	raw, err := body.required("value")
	value := ""
	if err == nil {
		value, err = compactJSON(raw)
	}
	s.proposeMetadata(c, body, map[string]string{c.Param("key"): value}, err)
}

func (s *Server) proposeMetadata(c *gin.Context, body object, meta map[string]string, err error) {
	set := &command.DIDMetadata{Set: meta}
	set.Scope, set.Name = didParam(c)
	change := &command.SetMetadata{Dids: []*command.DIDMetadata{set}}
	if err == nil {
		change.Recursive, err = body.flexibleBool("recursive", false)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetMetadata, change); ok {
		s.endMetadata(c, change.Dids)
		s.created(c)
	}
}

// deleteMetadata answers DELETE /dids/<scope>/<name>/meta?key=<key>.
func (s *Server) deleteMetadata(c *gin.Context) {
	key, given := c.GetQuery("key")
	if !given {
		s.fail(c, catalogue.Errorf(command.CodeKeyNotFound, "No key provided to remove"))
		return
	}
	take := &command.DIDMetadata{Delete: []string{key}}
	take.Scope, take.Name = didParam(c)
	if _, ok := s.propose(c, command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{take}}); ok {
		s.empty(c)
	}
}

// setMetadataOfMany answers POST /dids/bulkdidsmeta.
func (s *Server) setMetadataOfMany(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	change, err := newSetMetadata(body, s.limits.Items)
	switch {
	case err != nil:
		s.fail(c, err)
		return
	case len(change.Dids) == 0:
		s.created(c)
		return
	}
	if _, ok := s.propose(c, command.TypeSetMetadata, change); ok {
		s.endMetadata(c, change.Dids)
		s.created(c)
	}
}

func newSetMetadata(body object, limit int) (*command.SetMetadata, error) {
	items, err := requiredItems[object](body, "dids", limit)
	if err != nil {
		return nil, err
	}
	change := &command.SetMetadata{}
	for _, item := range items {
		set := &command.DIDMetadata{}
		if set.Scope, set.Name, err = didName(item); err != nil {
			return nil, err
		}
		if _, err := item.required("meta"); err != nil {
			return nil, err
		}
		if set.Set, err = metadataOf(item); err != nil {
			return nil, err
		}
		change.Dids = append(change.Dids, set)
	}
	return change, nil
}

// getMetadataOfMany answers POST /dids/bulkmeta. DIDs that do not exist are left out, or, where metadata is inherited, have
// none.
func (s *Server) getMetadataOfMany(c *gin.Context) {
	body, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	dids, err := didNames(body, s.limits.Items, true)
	var (
		inherit bool
		name    string
		plugin  metadataPlugin
	)
	if err == nil {
		inherit, err = body.flexibleBool("inherit", false)
	}
	if err == nil {
		name, err = body.optionalString("plugin")
	}
	if err == nil {
		if name == "" {
			name = defaultPlugin
		}
		plugin, err = parsePlugin(name)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.readLines(c, func(v View, line func(any) error) error {
		if inherit {
			return plugin.writeInherited(v, dids, line)
		}
		return plugin.writeMany(v, dids, line)
	})
}

// writeMany writes the metadata of each DID once.
func (p metadataPlugin) writeMany(v View, dids []catalogue.DIDName, line func(any) error) error {
	for _, did := range eachOnce(dids) {
		if _, err := catalogue.GetDID(v, did.Scope, did.Name); catalogue.CodeOf(err) == command.CodeDIDNotFound {
			continue
		}
		answer, err := p.read(v, did.Scope, did.Name)
		if err != nil {
			return err
		}
		answer["scope"], answer["name"] = did.Scope, did.Name
		if err := line(answer); err != nil {
			return err
		}
	}
	return nil
}

// maxInheritance is how far up metadata is inherited from.
const maxInheritance = 20

// writeInherited writes the metadata of each DID with what its line of first parents adds to it.
func (p metadataPlugin) writeInherited(v View, dids []catalogue.DIDName, line func(any) error) error {
	for _, did := range eachOnce(dids) {
		answer := gin.H{"scope": did.Scope, "name": did.Name}
		for at, depth := did, 0; depth <= maxInheritance; depth++ {
			meta, err := p.read(v, at.Scope, at.Name)
			if err != nil && catalogue.CodeOf(err) != command.CodeDIDNotFound {
				return err
			}
			for key, value := range meta {
				if _, known := answer[key]; !known {
					answer[key] = value
				}
			}
			parent, found, err := firstParent(v, at)
			if err != nil {
				return err
			}
			if !found {
				break
			}
			at = parent
		}
		if err := line(answer); err != nil {
			return err
		}
	}
	return nil
}

func firstParent(v View, did catalogue.DIDName) (parent catalogue.DIDName, found bool, err error) {
	err = catalogue.ScanParents(v, did.Scope, did.Name, func(scope, name string, _ catalogue.DIDType) (bool, error) {
		parent, found = catalogue.DIDName{Scope: scope, Name: name}, true
		return false, nil
	})
	if catalogue.CodeOf(err) == command.CodeDIDNotFound {
		err = nil
	}
	return parent, found, err
}

package httpapi

import (
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// didRoutes are the rows of DIDs, their contents and metadata, and archives.
func (s *Server) didRoutes() []route {
	return []route{
		{method: post, path: "/dids", handler: s.addDIDs},
		{method: post, path: "/dids/attachments", handler: s.attachMany},
		{method: post, path: "/dids/bulkfiles", handler: s.listFilesOfMany, access: reading},
		{method: post, path: "/dids/bulkmeta", handler: s.getMetadataOfMany, access: reading},
		{method: post, path: "/dids/bulkdidsmeta", handler: s.setMetadataOfMany},
		{method: post, path: "/dids/resurrect", handler: s.resurrect},
		{method: get, path: "/dids/:scope", handler: s.listScope},
		{method: get, path: "/dids/new", handler: s.listNewDIDs},
		{method: get, path: "/dids/:guid/guid", handler: s.listParentsByGUID},
		{method: get, path: "/dids/:scope/dids/search", handler: s.searchDIDs},
		{method: get, path: "/dids/:scope/*name", handler: s.getDID},
		{method: post, path: "/dids/:scope/*name", handler: s.addDID},
		{method: get, path: "/dids/:scope/*name/status", handler: s.getDID},
		{method: put, path: "/dids/:scope/*name/status", handler: s.setDIDStatus},
		{method: get, path: "/dids/:scope/*name/dids", handler: s.listContent},
		{method: post, path: "/dids/:scope/*name/dids", handler: s.attach},
		{method: remove, path: "/dids/:scope/*name/dids", handler: s.detach},
		{method: get, path: "/dids/:scope/*name/dids/history", handler: s.listContentHistory},
		{method: get, path: "/dids/:scope/*name/files", handler: s.listFiles},
		{method: get, path: "/dids/:scope/*name/parents", handler: s.listParents},
		{method: get, path: "/dids/:scope/*name/meta", handler: s.getMetadata},
		{method: post, path: "/dids/:scope/*name/meta", handler: s.setMetadata},
		{method: put, path: "/dids/:scope/*name/meta", handler: s.setMetadata},
		{method: remove, path: "/dids/:scope/*name/meta", handler: s.deleteMetadata},
		{method: post, path: "/dids/:scope/*name/meta/:key", handler: s.setMetadataKey},
		{method: get, path: "/dids/:scope/*name/rules", handler: s.listNoRules},
		{method: get, path: "/dids/:scope/*name/associated_rules", handler: s.listNoRules},
		{method: get, path: "/archives/:scope/*name/files", handler: s.listArchive},
	}
}

// getDID answers GET /dids/<scope>/<name>.
func (s *Server) getDID(c *gin.Context) {
	scope, name := didParam(c)
	if _, err := dynamicDepth(c); err != nil {
		s.fail(c, err)
		return
	}
	s.readJSON(c, func(v View) (any, error) {
		d, err := catalogue.GetDID(v, scope, name)
		if err != nil {
			return nil, err
		}
		account, err := catalogue.OwnerOf(v, d)
		if err != nil {
			return nil, err
		}
		answer := gin.H{"scope": scope, "name": name, "type": d.Type.String(), "account": account}
		if d.Type == catalogue.TypeFile {
			answer["bytes"], answer["length"] = d.Bytes, 1
			answer["md5"], answer["adler32"] = textOrNil(d.MD5), textOrNil(d.Adler32)
			return answer, nil
		}
		meta, err := catalogue.MetadataOf(v, scope, name, d)
		if err != nil {
			return nil, err
		}
		answer["open"], answer["monotonic"] = d.Open, d.Monotonic
		answer["expired_at"] = timeOf(meta, catalogue.MetaExpiredAt)
		answer["length"], answer["bytes"], err = collectionSizes(c, v, scope, name, d)
		return answer, err
	})
}

// collectionSizes returns length and bytes of a collection: what they are now, where the query asks for that by dynamic or dynamic_depth,
// otherwise what they were when it was last closed.
func collectionSizes(c *gin.Context, v View, scope, name string, d *catalogue.DID) (length, bytes any, err error) {
	depth, err := dynamicDepth(c)
	if err != nil {
		return nil, nil, err
	}
	var n, sum uint64
	switch depth {
	case "FILE":
		n, sum, err = catalogue.Totals(v, scope, name)
	case "DATASET":
		n, sum, err = catalogue.ClosedTotals(v, scope, name)
	default:
		if known, ok := d.KnownLength(); ok {
			length = known
		}
		if known, ok := d.KnownSize(); ok {
			bytes = known
		}
		return length, bytes, nil
	}
	return n, sum, err
}

// dynamicDepth reads how deep the query wants sizes to be counted, "" for not at all.
func dynamicDepth(c *gin.Context) (string, error) {
	dynamic, err := queryFlag(c, "dynamic")
	if err != nil {
		return "", err
	}
	if depth, given := c.GetQuery("dynamic_depth"); given {
		depth = strings.ToUpper(depth)
		return depth, oneOf("dynamic_depth", depth, dynamicDepths)
	}
	if dynamic {
		return "FILE", nil
	}
	return "", nil
}

// addDID answers POST /dids/<scope>/<name>.
func (s *Server) addDID(c *gin.Context) {
	body, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	scope, name := didParam(c)
	n, err := newCollection(body, scope, name, s.limits.Items)
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeAddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{n}}); ok {
		s.endNew(c, n)
		s.created(c)
	}
}

// addDIDs answers POST /dids.
func (s *Server) addDIDs(c *gin.Context) {
	if _, ok := s.negotiate(c, typeJSON); !ok {
		return
	}
	items, ok := s.decodeList(c, "dids", s.limits.Items)
	if !ok {
		return
	}
	add, err := newCollections(items, s.limits.Items)
	switch {
	case err != nil:
		s.fail(c, err)
		return
	case len(add.Dids) == 0:
		s.created(c)
		return
	}
	if _, ok := s.propose(c, command.TypeAddDIDs, add); ok {
		s.endNew(c, add.Dids...)
		s.created(c)
	}
}

// setDIDStatus answers PUT /dids/<scope>/<name>/status.
func (s *Server) setDIDStatus(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	scope, name := didParam(c)
	for key := range body {
		if key != "open" {
			s.fail(c, catalogue.Errorf(command.CodeUnsupportedStatus, "The status %s is not a valid data identifier status: the status there is is open", key))
			return
		}
	}
	open, err := body.requiredBool("open")
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeSetDIDStatus, &command.SetDIDStatus{Scope: scope, Name: name, Open: open}); ok {
		s.empty(c)
	}
}

// listScope answers GET /dids/<scope>/: its DIDs, or with ?name= what is in one of them.
func (s *Server) listScope(c *gin.Context) {
	recursive, err := queryBool(c, "recursive")
	if err != nil {
		s.fail(c, err)
		return
	}
	if recursive {
		pageByItem(c) // what is below comes after all that is beside it
	}
	scope := c.Param("scope")
	s.readLines(c, func(v View, line func(any) error) error {
		visit := func(row catalogue.ListedDID) (bool, error) {
			out := gin.H{"scope": row.Scope, "name": row.Name, "type": row.Type.String(), "parent": nil, "level": row.Level}
			switch {
			case row.Parent != nil:
				out["parent"] = gin.H{"scope": row.Parent.Scope, "name": row.Parent.Name}
			case row.Type == catalogue.TypeFile:
				out["bytes"] = row.Bytes
			default:
				out["bytes"] = nil
			}
			return true, line(out)
		}
		if name, given := c.GetQuery("name"); given {
			return catalogue.ScanUnder(v, scope, name, recursive, visit)
		}
		return catalogue.ScanScope(v, scope, recursive, visit)
	})
}

// queryBool reads a boolean of the query, false where it is not there.
func queryBool(c *gin.Context, key string) (bool, error) {
	text, given := c.GetQuery(key)
	switch strings.ToLower(text) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	if !given {
		return false, nil
	}
	return false, notBool(key, text)
}

// listNoRules answers for the replication rules of a DID: there are none, since the catalogue has no rules.
func (s *Server) listNoRules(c *gin.Context) {
	scope, name := didParam(c)
	s.readLines(c, func(v View, _ func(any) error) error {
		_, err := catalogue.GetDID(v, scope, name)
		return err
	})
}

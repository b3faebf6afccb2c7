package httpapi

import (
	"encoding/json"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// replicaListing is a request for a list of replicas.
type replicaListing struct {
	query catalogue.ReplicaQuery
	// wanted are the schemes that the client names.
	wanted []string
	// metalink is set where the answer is XML, with brief URLs and the catalogue's name in glfn.
	metalink, brief bool
	glfn            string
	// limit is the largest number of PFNs a file, -1 for all; sort is their order for that client.
	limit  int
	sort   string
	client clientLocation
	// sample is the number of files to choose at random, 0 for all.
	sample int
	// versions is set where the lines are to have the versions of replicas.
	versions bool
}

// metalinkSchemes are those of the PFNs in a metalink where the client names none.
var metalinkSchemes = [...]string{"root", "davs", "http", "https", "file", "storm", "srm+https", "scp", "rsync", "rclone", "magnet"}

const maxPFNsAFile = -1

// getReplicas lists the replicas of one DID.
func (s *Server) getReplicas(c *gin.Context) {
	contentType, ok := s.negotiate(c, typeLines, typeMetalink)
	if !ok {
		return
	}
	scope, name := didParam(c)
	l := replicaListing{metalink: contentType == typeMetalink, brief: true, glfn: "atlas"}
	l.query = catalogue.ReplicaQuery{
		DIDs: []catalogue.DIDName{{Scope: scope, Name: name}}, Domain: catalogue.DomainWAN,
		IgnoreAvailability: true, ResolveArchives: true,
	}
	if schemes, found := c.GetQuery("schemes"); found {
		l.query.Schemes = strings.FieldsFunc(schemes, func(r rune) bool { return r == ',' })
	}
	if err := l.readQuery(c, ""); err != nil {
		s.fail(c, err)
		return
	}
	s.sendReplicas(c, &l)
}

// listReplicas lists the replicas of many DIDs.
func (s *Server) listReplicas(c *gin.Context) {
	contentType, ok := s.negotiate(c, typeLines, typeMetalink)
	if !ok {
		return
	}
	fields, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	l := replicaListing{metalink: contentType == typeMetalink, glfn: "generic"}
	if err := l.readBody(fields, s.limits.Items); err != nil {
		s.fail(c, err)
		return
	}
	sort, err := fields.optionalString("sort")
	if err == nil {
		err = l.readQuery(c, sort)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendReplicas(c, &l)
}

// readQuery reads what the query string says; sort is what the body says.
func (l *replicaListing) readQuery(c *gin.Context, sort string) (err error) {
	// The last one that is given counts, and none of them may be unknown.
	for _, order := range [...]string{sort, c.DefaultQuery("select", sort), c.DefaultQuery("sort", c.DefaultQuery("select", sort))} {
		if l.sort, err = checkSort(order); err != nil {
			return err
		}
	}
	l.client.address = clientAddress(c)
	l.wanted = l.query.Schemes
	if l.metalink && l.query.Schemes == nil {
		l.query.Schemes = metalinkSchemes[:]
	}
	if c.Query("versions") != "" {
		if l.versions, err = queryBool(c, "versions"); err != nil {
			return err
		}
	}
	l.limit, err = queryCount(c, "limit", maxPFNsAFile)
	return err
}

// readBody reads the fields of a list's body.
func (l *replicaListing) readBody(fields object, limit int) (err error) {
	q := &l.query
	if raw, found := fields["dids"]; found {
		if q.DIDs, err = decodeDIDNames(raw, limit); err != nil {
			return err
		}
	}
	if q.Schemes, err = listedSchemes(fields, limit); err != nil {
		return err
	}
	if q.Expression, err = fields.optionalString("rse_expression"); err != nil {
		return err
	}
	if q.Domain, err = listedDomain(fields); err != nil {
		return err
	}
	_, asksUnavailable := fields["unavailable"]
	for _, flag := range [...]struct {
		key    string
		field  *bool
		absent bool
	}{
		{"unavailable", &q.Unavailable, false},
		{"ignore_availability", &q.IgnoreAvailability, asksUnavailable},
		{"all_states", &q.AllStates, false},
		{"resolve_archives", &q.ResolveArchives, true},
		{"resolve_parents", &q.ResolveParents, false},
		{"versions", &l.versions, false},
	} {
		if *flag.field, err = fields.flexibleBool(flag.key, flag.absent); err != nil {
			return err
		}
	}
	if l.client, err = readClientLocation(fields); err != nil {
		return err
	}
	q.Site = l.client.site
	if _, err = fields.optionalInt("signature_lifetime", 0); err != nil {
		return err
	}
	if q.UpdatedAfter, err = updatedAfter(fields); err != nil {
		return err
	}
	l.sample, err = sampleSize(fields, limit)
	return err
}

// listedSchemes reads a list of schemes; it may also be written as in a query, with commas.
func listedSchemes(fields object, limit int) ([]string, error) {
	const key = "schemes"
	text, err := fields.optionalString(key)
	switch {
	case err != nil:
		return fields.optionalStrings(key, limit)
	case text == "":
		return nil, nil
	}
	return strings.Split(text, ","), nil
}

// updatedAfter reads a time as text or as seconds since 1970.
func updatedAfter(fields object) (int64, error) {
	const key = "updated_after"
	if !fields.has(key) {
		return 0, nil
	}
	var seconds float64
	if json.Unmarshal(fields[key], &seconds) == nil {
		const most = 1 << 40
		if seconds < -most || seconds > most {
			return 0, catalogue.Errorf(command.CodeInvalidDate, "'%s' is out of range", key)
		}
		return int64(seconds * 1e6), nil
	}
	text, err := fields.optionalString(key)
	if err != nil {
		return 0, err
	}
	return parseTime(key, text)
}

// sendReplicas streams the list.
func (s *Server) sendReplicas(c *gin.Context, l *replicaListing) {
	v, ok := s.view(c)
	if !ok {
		return
	}
	defer v.Close()
	paged, gather, err := s.paged(c, v)
	if err == nil {
		err = checkSchemes(v, l.wanted)
	}
	if err == nil && gather != nil && (l.metalink || l.sample > 0) {
		err = catalogue.Errorf(command.CodeInvalidValue, "a metalink and a sample cannot be read in pages")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	list, err := catalogue.NewReplicaList(paged, l.query)
	if err != nil {
		s.fail(c, err)
		return
	}
	sorter, err := s.newSorter(c.Request.Context(), v, l)
	if err != nil {
		s.fail(c, err)
		return
	}
	var encode func(b []byte, f *catalogue.ListedFile) []byte
	st := s.stream(c, typeLines)
	st.gather, st.query = gather, v
	if l.metalink {
		st.contentType = typeMetalink
		encode = (&metalinkEncoder{brief: l.brief, glfn: l.glfn, limit: l.limit}).appendFile
		err = st.put(append(st.open(), metalinkHead...))
	} else {
		encode = (&replicaEncoder{rses: map[*catalogue.RSE][]byte{}, limit: l.limit, parents: l.query.ResolveParents, versions: l.versions}).appendFile
	}
	if err == nil {
		err = l.send(st, list, func(f *catalogue.ListedFile) (bool, error) {
			if err := sorter.sort(f.PFNs); err != nil {
				return false, err
			}
			b := encode(st.open(), f)
			if gather == nil {
				return true, st.put(b)
			}
			return true, st.item([]byte(f.Scope+":"+f.Name), b)
		})
	}
	if err == nil && l.metalink {
		err = st.put(append(st.open(), metalinkTail...))
	}
	st.finish(err)
}

// send streams the files of the list, or a sample of them.
func (l *replicaListing) send(st *stream, list *catalogue.ReplicaList, show func(*catalogue.ListedFile) (bool, error)) error {
	if l.sample == 0 {
		return list.Each(show)
	}
	sample, err := sampleFiles(list, l.sample, st.c.Request.Context().Err)
	if err != nil {
		return err
	}
	return list.Show(sample, show)
}

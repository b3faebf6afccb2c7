package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// declareBad declares replicas bad that are named by PFN or by DID and RSE, and answers what could not be.
func (s *Server) declareBad(c *gin.Context) {
	fields, ok := s.decodeDeclaration(c)
	if !ok {
		return
	}
	message := &command.DeclareBad{}
	var err error
	message.Pfns, message.Replicas, err = decodeTargets(fields, s.limits.Items, "replicas", "pfns")
	if err == nil {
		message.Reason, err = fields.optionalString("reason")
	}
	if err == nil {
		message.Force, err = fields.flexibleBool("force", false)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if len(message.Pfns)+len(message.Replicas) == 0 {
		s.write(c, http.StatusCreated, typeJSON, []byte("{}"))
		return
	}
	if result, ok := s.propose(c, command.TypeDeclareBad, message); ok {
		s.notDeclared(c, result.Payload, false)
	}
}

// declareBadDIDs declares the replicas of DIDs at one RSE bad.
func (s *Server) declareBadDIDs(c *gin.Context) {
	fields, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	message := &command.DeclareBad{ByDids: true}
	var names []catalogue.DIDName
	rse, err := fields.requiredString("rse")
	if raw, found := fields["dids"]; found && err == nil {
		names, err = decodeDIDNames(raw, s.limits.Items)
	}
	if err == nil {
		message.Reason, err = fields.optionalString("reason")
	}
	if err == nil {
		_, err = optionalTime(fields, "expires_at")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	for _, n := range names {
		message.Replicas = append(message.Replicas, &command.ReplicaAt{Scope: n.Scope, Name: n.Name, Rse: rse})
	}
	if result, ok := s.propose(c, command.TypeDeclareBad, message); ok {
		s.notDeclared(c, result.Payload, true)
	}
}

// declareSuspicious declares replicas suspicious and answers what could not be.
func (s *Server) declareSuspicious(c *gin.Context) {
	fields, ok := s.decodeDeclaration(c)
	if !ok {
		return
	}
	message := &command.DeclareSuspicious{}
	var err error
	message.Pfns, message.Replicas, err = decodeTargets(fields, s.limits.Items, "pfns")
	if err == nil {
		message.Reason, err = fields.optionalString("reason")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if result, ok := s.propose(c, command.TypeDeclareSuspicious, message); ok {
		s.notDeclared(c, result.Payload, false)
	}
}

func (s *Server) decodeDeclaration(c *gin.Context) (object, bool) {
	if _, ok := s.negotiate(c, typeJSON); !ok {
		return nil, false
	}
	return s.decodeScanned(c)
}

// decodeTargets reads the first list of these keys that is not empty: PFNs, or replicas by DID and RSE, never both.
func decodeTargets(fields object, limit int, keys ...string) (pfns []string, replicas []*command.ReplicaAt, err error) {
	for _, key := range keys {
		raw, found := fields[key]
		if !found {
			continue
		}
		items, err := decodeItems[json.RawMessage](raw, key, limit)
		if err != nil {
			return nil, nil, err
		}
		for _, item := range items {
			switch item[0] {
			case '"':
				pfn, err := decodeField[string](item, key, "a string")
				if err != nil {
					return nil, nil, err
				}
				pfns = append(pfns, pfn)
			case '{':
				replica, err := decodeReplicaAt(item)
				if err != nil {
					return nil, nil, err
				}
				replicas = append(replicas, replica)
			default:
				return nil, nil, mixedTargets()
			}
		}
		if len(pfns) > 0 && len(replicas) > 0 {
			return nil, nil, mixedTargets()
		}
		if len(items) > 0 {
			break
		}
	}
	return pfns, replicas, nil
}

func mixedTargets() error {
	return catalogue.Errorf(command.CodeInvalidType, "The replicas must be specified either as a list of PFNs (strings) or list of dicts")
}

// decodeReplicaAt reads a replica by scope, name and the name or id of its RSE.
func decodeReplicaAt(raw json.RawMessage) (*command.ReplicaAt, error) {
	fields, err := parseObject(raw)
	if err != nil {
		return nil, err
	}
	if !fields.has("scope") || !fields.has("name") || !fields.has("rse") && !fields.has("rse_id") {
		return nil, catalogue.Errorf(command.CodeInvalidType,
			"The replica dictionary must include scope, name and either rse (name) or rse_id: %s", abridge(raw))
	}
	r := &command.ReplicaAt{}
	for _, f := range [...]struct {
		key   string
		field *string
	}{{"scope", &r.Scope}, {"name", &r.Name}, {"rse", &r.Rse}, {"rse_id", &r.RseId}} {
		if *f.field, err = fields.optionalString(f.key); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// notDeclared answers what could not be declared: by RSE, or as one list where there is one RSE.
func (s *Server) notDeclared(c *gin.Context, payload []byte, list bool) {
	answer := &command.NotDeclared{}
	if err := proto.Unmarshal(payload, answer); err != nil {
		s.fail(c, err)
		return
	}
	items, byRSE := []string{}, map[string][]string{}
	for _, r := range answer.Rses {
		items = append(items, r.Items...)
		byRSE[r.Rse] = r.Items
	}
	if list {
		s.json(c, http.StatusCreated, items)
		return
	}
	s.json(c, http.StatusCreated, byRSE)
}

// declareBadPFNs declares what lies at PFNs bad, suspicious or temporarily unavailable.
func (s *Server) declareBadPFNs(c *gin.Context) {
	fields, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	message := &command.DeclareBadPFNs{}
	var err error
	if raw, found := fields["pfns"]; found {
		message.Pfns, err = decodeStrings(raw, "pfns", s.limits.Items)
	}
	if err == nil {
		message.State, err = declaredState(fields)
	}
	if err == nil {
		message.Reason, err = fields.optionalString("reason")
	}
	if err == nil {
		message.ExpiresAt, err = optionalTime(fields, "expires_at")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeDeclareBadPFNs, message); ok {
		s.created(c)
	}
}

// declaredState reads the name of the state that PFNs are declared to be in.
func declaredState(fields object) (uint32, error) {
	text, err := fields.requiredString("state")
	if err != nil {
		return 0, err
	}
	state, known := catalogue.ParseBadState(text)
	switch {
	case known && len(text) > 1 && (state == catalogue.BadStateBad || state == catalogue.BadStateSuspicious ||
		state == catalogue.BadStateTemporarilyUnavailable):
		return uint32(state), nil
	default:
		return 0, catalogue.Errorf(command.CodeInvalidValue, "'state' must be BAD, SUSPICIOUS or TEMPORARY_UNAVAILABLE, not '%.64s'", text)
	}
}

// optionalTime reads a time, 0 where the key is missing, null or empty.
func optionalTime(fields object, key string) (int64, error) {
	text, err := fields.optionalString(key)
	if err != nil || text == "" {
		return 0, err
	}
	return parseTime(key, text)
}

// listSuspicious lists replicas that were declared suspicious more often than so many times.
func (s *Server) listSuspicious(c *gin.Context) {
	if _, ok := s.negotiate(c, typeJSON); !ok {
		return
	}
	filter := catalogue.SuspiciousFilter{Expression: c.Query("rse_expression")}
	var err error
	if filter.YoungerThan, err = queryTime(c, "younger_than"); err == nil {
		filter.Attempts, err = queryCount(c, "nattempts", 0)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	v, ok := s.view(c)
	if !ok {
		return
	}
	defer v.Close()
	if filter.YoungerThan == 0 {
		const tenDays = 10 * 24 * 3600 * 1_000_000
		_, now, err := catalogue.Clock(v)
		if err != nil {
			s.fail(c, err)
			return
		}
		filter.YoungerThan = now - tenDays
	}
	pageByItem(c) // a replica's declarations are counted first
	paged, gather, err := s.paged(c, v)
	if err != nil {
		s.fail(c, err)
		return
	}
	st := s.stream(c, typeJSON)
	st.gather, st.query = gather, v
	err = catalogue.ListSuspicious(paged, filter, func(r catalogue.Suspicious) error {
		b := append(st.open(), "[,"[min(st.lines, 1)])
		name := len(b)
		b = appendReplicaName(b, r.Scope, r.Name, r.RSE)
		id := b[name:]
		b = strconv.AppendInt(append(b, `, "cnt": `...), int64(r.Count), 10)
		b = appendJSONTime(append(b, `, "created_at": `...), r.Created)
		return st.item(id, append(b, '}'))
	})
	if err == nil || errors.Is(err, errPageFull) {
		err = errors.Join(err, st.put(append(st.open(), "[]"[min(st.lines, 1):]...)))
	}
	st.finish(err)
}

// appendReplicaName opens an object with the fields that name a replica.
func appendReplicaName(b []byte, scope, name string, rse *catalogue.RSE) []byte {
	b = appendJSONString(append(b, `{"scope": `...), scope)
	b = appendJSONString(append(b, `, "name": `...), name)
	b = appendJSONString(append(b, `, "rse": `...), rse.Name)
	return appendJSONString(append(b, `, "rse_id": `...), rse.UUIDString())
}

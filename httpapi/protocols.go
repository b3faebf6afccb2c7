package httpapi

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

func (s *Server) protocolRoutes() []route {
	return []route{
		{get, "/rses/:rse/lfns2pfns", s.lfnsToPFNs, needsToken},
		{get, "/rses/:rse/protocols", s.listProtocols, needsToken},
		{get, "/rses/:rse/protocols/:scheme", s.getProtocols, needsToken},
		{post, "/rses/:rse/protocols/:scheme", s.addProtocol, needsToken},
		{put, "/rses/:rse/protocols/:scheme", s.updateProtocol, needsToken},
		{put, "/rses/:rse/protocols/:scheme/:hostname", s.updateProtocol, needsToken},
		{put, "/rses/:rse/protocols/:scheme/:hostname/:port", s.updateProtocol, needsToken},
		{remove, "/rses/:rse/protocols/:scheme", s.deleteProtocols, needsToken},
		{remove, "/rses/:rse/protocols/:scheme/:hostname", s.deleteProtocols, needsToken},
		{remove, "/rses/:rse/protocols/:scheme/:hostname/:port", s.deleteProtocols, needsToken},
	}
}

type protocolAnswer struct {
	Domains            domainsAnswer   `json:"domains"`
	ExtendedAttributes json.RawMessage `json:"extended_attributes"`
	Hostname           string          `json:"hostname"`
	Impl               string          `json:"impl"`
	Port               int             `json:"port"`
	Prefix             string          `json:"prefix"`
	Scheme             string          `json:"scheme"`
}

type domainsAnswer struct {
	LAN lanAnswer `json:"lan"`
	WAN wanAnswer `json:"wan"`
}

type lanAnswer struct {
	Read   any `json:"read"`
	Write  any `json:"write"`
	Delete any `json:"delete"`
}

type wanAnswer struct {
	lanAnswer
	ThirdPartyCopyRead  any `json:"third_party_copy_read"`
	ThirdPartyCopyWrite any `json:"third_party_copy_write"`
}

// newProtocolAnswers shows the protocols of an RSE in ascending order of host name, scheme and port.
func newProtocolAnswers(r *catalogue.RSE) []protocolAnswer {
	answers := make([]protocolAnswer, 0, len(r.Protocols))
	for i := range r.Protocols {
		p := &r.Protocols[i]
		answer := protocolAnswer{
			Domains: domainsAnswer{
				LAN: newLANAnswer(&p.LAN),
				WAN: wanAnswer{
					newLANAnswer(&p.WAN), priorityOrNil(p.WAN.ThirdPartyCopyRead), priorityOrNil(p.WAN.ThirdPartyCopyWrite),
				},
			},
			Hostname: p.Hostname, Impl: p.Impl, Port: p.Port, Prefix: p.Prefix, Scheme: p.Scheme,
		}
		if p.ExtendedAttributes != "" {
			answer.ExtendedAttributes = json.RawMessage(p.ExtendedAttributes)
		}
		answers = append(answers, answer)
	}
	return answers
}

func newLANAnswer(p *catalogue.Priorities) lanAnswer {
	return lanAnswer{priorityOrNil(p.Read), priorityOrNil(p.Write), priorityOrNil(p.Delete)}
}

func priorityOrNil(priority int) any {
	if priority == catalogue.PriorityNone {
		return nil
	}
	return priority
}

func (s *Server) listProtocols(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		if len(r.Protocols) == 0 {
			return nil, catalogue.Errorf(command.CodeProtocolNotSupported, "No protocols found for this RSE")
		}
		return newProtocolAnswers(r), nil
	})
}

// getProtocols tells the same of an RSE whatever the scheme in the path: that is how the API has always been.
func (s *Server) getProtocols(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		return newRSEAnswer(r), nil
	})
}

func (s *Server) addProtocol(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	settings, err := protocolSettings(body)
	if err != nil {
		s.fail(c, err)
		return
	}
	scheme := c.Param("scheme")
	settings.Scheme = &scheme
	if _, ok := s.propose(c, command.TypeAddProtocol, &command.AddProtocol{Rse: c.Param("rse"), Protocol: settings}); ok {
		s.created(c)
	}
}

func (s *Server) updateProtocol(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	update := &command.UpdateProtocols{Rse: c.Param("rse"), Scheme: c.Param("scheme")}
	var err error
	if update.Hostname, update.Port, err = protocolAddress(c); err == nil {
		update.Changes, err = protocolSettings(body)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeUpdateProtocols, update); ok {
		s.empty(c)
	}
}

func (s *Server) deleteProtocols(c *gin.Context) {
	drop := &command.DeleteProtocols{Rse: c.Param("rse"), Scheme: c.Param("scheme")}
	var err error
	if drop.Hostname, drop.Port, err = protocolAddress(c); err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeDeleteProtocols, drop); ok {
		s.empty(c)
	}
}

// protocolAddress reads host name and port from the path, nil where it has none.
func protocolAddress(c *gin.Context) (hostname *string, port *int32, err error) {
	if text, found := c.Params.Get("hostname"); found {
		hostname = &text
	}
	if text, found := c.Params.Get("port"); found {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, nil, catalogue.Errorf(command.CodeInvalidValue, "'%.64s' is no port", text)
		}
		number := int32(n)
		port = &number
	}
	return hostname, port, nil
}

// protocolSettings reads the properties of a protocol that a body has; other keys are left alone.
func protocolSettings(body object) (*command.ProtocolSettings, error) {
	p := &command.ProtocolSettings{}
	for _, field := range [...]struct {
		key   string
		value **string
	}{{"scheme", &p.Scheme}, {"hostname", &p.Hostname}, {"prefix", &p.Prefix}, {"impl", &p.Impl}} {
		if !body.has(field.key) {
			continue
		}
		text, err := body.requiredString(field.key)
		if err != nil {
			return nil, err
		}
		*field.value = &text
	}
	if body.has("port") {
		port, err := portOf(body)
		if err != nil {
			return nil, err
		}
		p.Port = &port
	}
	if err := setExtendedAttributes(body, p); err != nil {
		return nil, err
	}
	domains, err := body.optionalObject("domains")
	if err != nil {
		return nil, err
	}
	return p, setPriorities(p, domains)
}

// portOf reads a port, which clients also write as a text.
func portOf(body object) (int32, error) {
	if text, err := body.requiredString("port"); err == nil {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return 0, catalogue.Errorf(command.CodeInvalidObject, "'%.64s' is no port", text)
		}
		return int32(port), nil
	}
	port, err := body.optionalUint("port", 65535, 0)
	return int32(port), err
}

// setExtendedAttributes keeps the JSON as it is but for white space; what is empty or false is none.
func setExtendedAttributes(body object, p *command.ProtocolSettings) error {
	const key = "extended_attributes"
	raw, found := body[key]
	if !found {
		return nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return catalogue.Errorf(command.CodeInvalidObject, "'%s' can not be read", key)
	}
	text := compact.String()
	switch text {
	case "null", "false", "{}", "[]", `""`, "0":
		text = ""
	}
	p.ExtendedAttributes = &text
	return nil
}

// setPriorities reads the priorities by domain and operation. Third-party copies are of no domain and kept with WAN.
func setPriorities(p *command.ProtocolSettings, domains object) error {
	p.Lan, p.Wan = &command.ProtocolPriorities{}, &command.ProtocolPriorities{}
	for domain := range domains {
		priorities := p.Lan
		switch domain {
		case catalogue.DomainLAN:
		case catalogue.DomainWAN:
			priorities = p.Wan
		default:
			return catalogue.Errorf(command.CodeProtocolDomainInvalid, "The protocol domain '%s' is not defined in the schema: the domains are %s",
				domain, strings.Join(protocolDomains, ", "))
		}
		operations, err := domains.optionalObject(domain)
		if err != nil {
			return err
		}
		for operation, raw := range operations {
			field := priorityField(priorities, p.Wan, operation)
			if field == nil {
				return catalogue.Errorf(command.CodeInvalidValue, "Operation '%s' not defined in schema: the operations are %s",
					operation, strings.Join(protocolOperation, ", "))
			}
			if *field, err = priorityOf(raw, operation, domain); err != nil {
				return err
			}
		}
	}
	return nil
}

func priorityField(p, wan *command.ProtocolPriorities, operation string) **int32 {
	switch operation {
	case catalogue.OperationRead:
		return &p.Read
	case catalogue.OperationWrite:
		return &p.Write
	case catalogue.OperationDelete:
		return &p.Delete
	case catalogue.OperationThirdPartyCopyRead:
		return &wan.ThirdPartyCopyRead
	case catalogue.OperationThirdPartyCopyWrite:
		return &wan.ThirdPartyCopyWrite
	default:
		return nil
	}
}

// priorityOf reads a priority: null for none, or an integer from 0.
func priorityOf(raw json.RawMessage, operation, domain string) (*int32, error) {
	priority := int32(catalogue.PriorityNone)
	if string(raw) != "null" {
		if err := json.Unmarshal(raw, &priority); err != nil || priority < 0 {
			return nil, catalogue.Errorf(command.CodeProtocolPriorityInvalid,
				"The provided priority (%s) for operation '%s' in domain '%s' is not supported.", abridge(raw), operation, domain)
		}
	}
	return &priority, nil
}

// lfnsToPFNs makes the PFNs of files at an RSE, by the first protocol that offers the operation.
func (s *Server) lfnsToPFNs(c *gin.Context) {
	operation, domain := c.DefaultQuery("operation", catalogue.OperationWrite), c.DefaultQuery("domain", catalogue.DomainWAN)
	var schemes []string
	if text := c.Query("scheme"); text != "" {
		schemes = strings.Split(text, ",")
	}
	s.readJSON(c, func(v View) (any, error) {
		lfns := c.QueryArray("lfn")
		if len(lfns) > s.limits.Items {
			return nil, catalogue.Errorf(command.CodeTooManyItems, "more than %d names", s.limits.Items)
		}
		for _, lfn := range lfns {
			if !strings.Contains(lfn, ":") {
				return nil, catalogue.Errorf(command.CodeInvalidPath, "LFN(s) in invalid format: %s", lfn)
			}
		}
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		protocol, err := firstProtocol(r, strings.ToLower(operation), domain, schemes)
		if err != nil {
			return nil, err
		}
		if err := checkSchemes(v, schemes); err != nil {
			return nil, err
		}
		return makePFNs(v, r, protocol, lfns)
	})
}

func firstProtocol(r *catalogue.RSE, operation, domain string, schemes []string) (*catalogue.Protocol, error) {
	switch {
	case !catalogue.KnownOperation(operation):
		return nil, catalogue.Errorf(command.CodeInvalidValue, "Operation %s is not supported: the operations are %s", operation,
			strings.Join(protocolOperation, ", "))
	case domain != catalogue.DomainLAN && domain != catalogue.DomainWAN:
		return nil, catalogue.Errorf(command.CodeProtocolDomainInvalid, "Domain %s not supported: the domains are %s", domain, strings.Join(protocolDomains, ", "))
	}
	protocols := r.ProtocolsFor(operation, domain, schemes...)
	if len(protocols) == 0 {
		return nil, catalogue.Errorf(command.CodeProtocolNotSupported, "No protocol for provided settings found : RSE '%s', %s in %s",
			r.Name, operation, domain)
	}
	return protocols[0], nil
}

// makePFNs makes the PFN of each file, or refuses the request where an RSE that has to know the files does not know one.
func makePFNs(v View, r *catalogue.RSE, p *catalogue.Protocol, lfns []string) (any, error) {
	pfns := map[string]string{}
	var unknown []string
	for _, lfn := range lfns {
		scope, name, _ := strings.Cut(lfn, ":")
		path, found, err := catalogue.FilePath(v, r, scope, name)
		switch {
		case err != nil:
			return nil, err
		case found:
			pfns[lfn] = p.PFN(path)
		case !slices.Contains(unknown, lfn):
			unknown = append(unknown, lfn)
		}
	}
	switch {
	case len(unknown) > 0:
		return nil, catalogue.Errorf(command.CodeReplicaNotFound, "%s has no replica of %s", r.Name, firstOf(unknown))
	case len(pfns) == 0:
		return nil, catalogue.Errorf(command.CodeReplicaNotFound, "No replicas found")
	}
	return pfns, nil
}

// firstOf names the first few of a list.
func firstOf(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + strconv.Itoa(len(names)-most) + " more"
}

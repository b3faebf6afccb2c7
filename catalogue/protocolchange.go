package catalogue

import (
	"encoding/json"
	"slices"

	"dapple/command"
)

// Limits of a protocol's texts and numbers.
const (
	maxPrefix             = 1024
	maxExtendedAttributes = 4000
	maxPort               = 65535
	maxPriority           = 1 << 20
)

// AddProtocol adds a protocol to an RSE. Without a host name it is that of localhost, without a port 0.
func AddProtocol(tx Tx, at Stamp, c *command.AddProtocol) ([]byte, error) {
	r, err := GetRSE(tx, c.Rse)
	if err != nil {
		return nil, err
	}
	if err := Authorize(tx, at.Issuer, ActionAddProtocol, c.Rse); err != nil {
		return nil, err
	}
	none := Priorities{PriorityNone, PriorityNone, PriorityNone, PriorityNone, PriorityNone}
	p := Protocol{Hostname: "localhost", LAN: none, WAN: none}
	if err := p.apply(c.Protocol); err != nil {
		return nil, err
	}
	if len(r.Protocols) >= maxRSEParts {
		return nil, Errorf(command.CodeTooManyItems, "RSE '%s' has %d protocols already", c.Rse, maxRSEParts)
	}
	if err := checkPrefix(tx, "", p.Prefix); err != nil {
		return nil, err
	}
	if err := r.insertProtocol(p); err != nil {
		return nil, err
	}
	storeRSE(tx, at, r, changedProtocol, p.Scheme, "")
	return nil, nil
}

// UpdateProtocols changes the protocol of an RSE that a scheme, a host name and a port name.
func UpdateProtocols(tx Tx, at Stamp, c *command.UpdateProtocols) ([]byte, error) {
	r, err := GetRSE(tx, c.Rse)
	if err != nil {
		return nil, err
	}
	if err := Authorize(tx, at.Issuer, ActionUpdateProtocols, c.Rse); err != nil {
		return nil, err
	}
	key := Protocol{Scheme: c.Scheme, Hostname: c.GetHostname(), Port: int(c.GetPort())}
	i, found := slices.BinarySearchFunc(r.Protocols, key, compareProtocols)
	if !found || c.Hostname == nil || c.Port == nil {
		return nil, Errorf(command.CodeProtocolNotSupported, "RSE '%s' does not support protocol '%s' for hostname '%s' on port '%d'",
			c.Rse, c.Scheme, c.GetHostname(), c.GetPort())
	}
	p := r.Protocols[i]
	if err := p.apply(c.Changes); err != nil {
		return nil, err
	}
	if err := checkPrefix(tx, r.Protocols[i].Prefix, p.Prefix); err != nil {
		return nil, err
	}
	r.Protocols = slices.Delete(r.Protocols, i, i+1)
	if err := r.insertProtocol(p); err != nil {
		return nil, err
	}
	storeRSE(tx, at, r, changedProtocol, c.Scheme, "")
	return nil, nil
}

// DeleteProtocols removes protocols from an RSE: all of a scheme, or those of a host name, or of a host name and port.
func DeleteProtocols(tx Tx, at Stamp, c *command.DeleteProtocols) ([]byte, error) {
	r, err := GetRSE(tx, c.Rse)
	if err != nil {
		return nil, err
	}
	if err := Authorize(tx, at.Issuer, ActionDeleteProtocols, c.Rse); err != nil {
		return nil, err
	}
	before := len(r.Protocols)
	r.Protocols = slices.DeleteFunc(r.Protocols, func(p Protocol) bool {
		return p.Scheme == c.Scheme && (c.Hostname == nil || *c.Hostname == p.Hostname) && (c.Port == nil || int(*c.Port) == p.Port)
	})
	if len(r.Protocols) == before {
		return nil, Errorf(command.CodeProtocolNotSupported, "RSE '%s' does not support protocol '%s'", c.Rse, c.Scheme)
	}
	storeRSE(tx, at, r, changedProtocol, c.Scheme, "")
	return nil, nil
}

// checkPrefix refuses a new prefix that leads to another directory than it seems to.
func checkPrefix(v View, old, prefix string) error {
	if prefix == old {
		return nil
	}
	schema, err := NameSchemaOf(v)
	if err != nil {
		return err
	}
	return schema.checkSegments("prefix", prefix)
}

// insertProtocol adds a protocol at its place, or returns CodeProtocolExists.
func (r *RSE) insertProtocol(p Protocol) error {
	i, found := slices.BinarySearchFunc(r.Protocols, p, compareProtocols)
	if found {
		return Errorf(command.CodeProtocolExists, "Protocol '%s' on port %d already registered for  '%s' with hostname '%s'.",
			p.Scheme, p.Port, r.Name, p.Hostname)
	}
	r.Protocols = slices.Insert(r.Protocols, i, p)
	return nil
}

// apply sets what is given and checks the outcome.
func (p *Protocol) apply(s *command.ProtocolSettings) error {
	if s == nil {
		s = &command.ProtocolSettings{}
	}
	for _, text := range [...]struct{ field, value *string }{
		{&p.Scheme, s.Scheme},
		{&p.Hostname, s.Hostname},
		{&p.Prefix, s.Prefix},
		{&p.Impl, s.Impl},
		{&p.ExtendedAttributes, s.ExtendedAttributes},
	} {
		if text.value != nil {
			*text.field = *text.value
		}
	}
	if s.Port != nil {
		p.Port = int(*s.Port)
	}
	for _, domain := range [...]struct {
		priorities *Priorities
		given      *command.ProtocolPriorities
	}{{&p.LAN, s.Lan}, {&p.WAN, s.Wan}} {
		if err := domain.priorities.apply(domain.given); err != nil {
			return err
		}
	}
	return p.validate()
}

func (p *Priorities) apply(given *command.ProtocolPriorities) error {
	if given == nil {
		return nil
	}
	values := [...]*int32{given.Read, given.Write, given.Delete, given.ThirdPartyCopyRead, given.ThirdPartyCopyWrite}
	for i, field := range p.fields() {
		switch value := values[i]; {
		case value == nil:
		case *value < PriorityNone || *value > maxPriority:
			return Errorf(command.CodeProtocolPriorityInvalid, "The provided priority (%d) is not supported.", *value)
		default:
			*field = int(*value)
		}
	}
	return nil
}

func (p *Protocol) validate() error {
	if p.Impl == "" || p.Scheme == "" {
		return Errorf(command.CodeInvalidObject, "Missing values!")
	}
	for _, text := range [...]struct {
		name, value string
		longest     int
	}{
		{"scheme", p.Scheme, maxText}, {"hostname", p.Hostname, maxText}, {"impl", p.Impl, maxText}, {"prefix", p.Prefix, maxPrefix},
	} {
		if len(text.value) > text.longest || !isPlainText(text.value) {
			return Errorf(command.CodeInvalidObject, "'%s' is no text of at most %d characters", text.name, text.longest)
		}
	}
	if !schemePattern.MatchString(p.Scheme) {
		return Errorf(command.CodeInvalidObject, "'%.64s' is no scheme", p.Scheme)
	}
	if p.Port < 0 || p.Port > maxPort {
		return Errorf(command.CodeInvalidObject, "'port' is not between 0 and %d", maxPort)
	}
	if len(p.ExtendedAttributes) > maxExtendedAttributes || p.ExtendedAttributes != "" && !json.Valid([]byte(p.ExtendedAttributes)) {
		return Errorf(command.CodeInvalidObject, "'extended_attributes' is no JSON of at most %d characters", maxExtendedAttributes)
	}
	if p.Scheme == "srm" && p.webServicePath() == "" {
		return Errorf(command.CodeInvalidObject, "Missing values! For SRM, extended_attributes and web_service_path must be specified")
	}
	return nil
}

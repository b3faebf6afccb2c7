package catalogue

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Operations that a protocol may offer.
const (
	OperationRead                = "read"
	OperationWrite               = "write"
	OperationDelete              = "delete"
	OperationThirdPartyCopyRead  = "third_party_copy_read"
	OperationThirdPartyCopyWrite = "third_party_copy_write"
)

// Domains from which an RSE is reached. DomainAll means either.
const (
	DomainLAN = "lan"
	DomainWAN = "wan"
	DomainAll = "all"
)

// Priority returns the priority of an operation in a domain, and false where it is not offered. In DomainAll it is the
// better of the two.
func (p *Protocol) Priority(operation, domain string) (int, bool) {
	best, offered := 0, false
	lowest := 1
	if !p.ranked() {
		lowest = 0
	}
	for _, d := range [...]struct {
		name       string
		priorities *Priorities
	}{{DomainLAN, &p.LAN}, {DomainWAN, &p.WAN}} {
		if domain != d.name && domain != DomainAll {
			continue
		}
		if field := d.priorities.of(operation); field != nil && *field >= lowest && (!offered || *field < best) {
			best, offered = *field, true
		}
	}
	return best, offered
}

// ranked reports whether any priority is 1 or more. In such a protocol 0 switches an operation off. One that has nothing above
// 0 would offer nothing at all: it was written by a client for which 0 is the first choice and null is off, as in Rucio 41.
func (p *Protocol) ranked() bool {
	for _, domain := range [...]*Priorities{&p.LAN, &p.WAN} {
		for _, priority := range domain.fields() {
			if *priority > 0 {
				return true
			}
		}
	}
	return false
}

// of returns the priority of an operation by its name, nil where there is no such operation.
func (p *Priorities) of(operation string) *int {
	switch operation {
	case OperationRead:
		return &p.Read
	case OperationWrite:
		return &p.Write
	case OperationDelete:
		return &p.Delete
	case OperationThirdPartyCopyRead:
		return &p.ThirdPartyCopyRead
	case OperationThirdPartyCopyWrite:
		return &p.ThirdPartyCopyWrite
	default:
		return nil
	}
}

// ProtocolsFor returns the protocols that offer an operation in a domain, the first to try first: by priority, then by host name,
// scheme and port. Where schemes are named, only those are returned.
func (r *RSE) ProtocolsFor(operation, domain string, schemes ...string) []*Protocol {
	var all []*Protocol
	for i := range r.Protocols {
		p := &r.Protocols[i]
		if len(schemes) != 0 && !slices.Contains(schemes, p.Scheme) {
			continue
		}
		if _, offered := p.Priority(operation, domain); offered {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b *Protocol) int {
		x, _ := a.Priority(operation, domain)
		y, _ := b.Priority(operation, domain)
		return cmp.Compare(x, y)
	})
	return all
}

// webServicePath returns the extended attribute of that name, "" where there is none.
func (p *Protocol) webServicePath() string {
	if p.ExtendedAttributes == "" {
		return ""
	}
	var attributes struct {
		WebServicePath string `json:"web_service_path"`
	}
	if json.Unmarshal([]byte(p.ExtendedAttributes), &attributes) != nil {
		return ""
	}
	return attributes.WebServicePath
}

// compareProtocols orders protocols as RSE.Protocols keeps them; 0 means that they may not both be at one RSE.
func compareProtocols(a, b Protocol) int {
	return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.Scheme, b.Scheme), cmp.Compare(a.Port, b.Port))
}

// KnownOperation reports whether protocols have such an operation.
func KnownOperation(operation string) bool { return new(Priorities).of(operation) != nil }

package catalogue

import (
	"slices"
	"sync"
)

// listedRSE is what a list of replicas has to know about an RSE; it is worked out once for a list, or for many with a Memo.
type listedRSE struct {
	rse       *RSE
	shown     bool
	algorithm string
	protocols []listedProtocol
	// archives returns the protocols for files in archives: the usual ones and XRootD, which can read out of them.
	archives func() []listedProtocol
}

// listedProtocol is a protocol in the domain in which it is shown.
type listedProtocol struct {
	domain, scheme, host string
	priority             int
	// prefix is the PFN up to the file's path; keepSlash is set where the path goes after it as it is.
	prefix    string
	keepSlash bool
}

func (l *ReplicaList) newListedRSE(rse *RSE) *listedRSE {
	listed := &listedRSE{rse: rse, algorithm: rse.PathAlgorithm()}
	listed.shown = rse.Deleted == 0 && (l.only == nil || l.only[rse.ID]) && (rse.AvailableRead || l.q.IgnoreAvailability)
	if listed.shown {
		listed.protocols = l.q.selectProtocols(rse)
	}
	q := ReplicaQuery{Schemes: slices.Clone(l.q.Schemes), Domain: l.q.Domain, Site: l.q.Site} // may outlive the list
	listed.archives = sync.OnceValue(func() []listedProtocol { return q.selectProtocols(rse, schemeRoot) })
	return listed
}

// selectProtocols chooses the protocols whose PFNs are shown: of each scheme the best in each domain. Without schemes in the
// query they are those of the best protocols of all. One that serves both domains is shown as local.
func (q *ReplicaQuery) selectProtocols(rse *RSE, more ...string) []listedProtocol {
	domains := q.domains(rse)
	schemes := slices.Clone(q.Schemes)
	if len(schemes) == 0 {
		for _, domain := range domains {
			if best := rse.ProtocolsFor(OperationRead, domain); len(best) > 0 {
				schemes = append(schemes, best[0].Scheme)
			}
		}
	}
	for _, scheme := range more {
		if !slices.Contains(schemes, scheme) {
			schemes = append(schemes, scheme)
		}
	}
	list := []listedProtocol{}
	for _, scheme := range schemes {
		for _, domain := range domains {
			best := rse.ProtocolsFor(OperationRead, domain, scheme)
			if len(best) == 0 {
				continue
			}
			p := newListedProtocol(best[0], domain)
			same := func(o listedProtocol) bool { return o.prefix == p.prefix && o.keepSlash == p.keepSlash }
			if i := slices.IndexFunc(list, same); i >= 0 {
				list[i] = p
			} else {
				list = append(list, p)
			}
		}
	}
	return list
}

// domains returns the domains in which an RSE is shown; in DomainAll the local one last, so that it prevails.
func (q *ReplicaQuery) domains(rse *RSE) []string {
	switch q.Domain {
	case DomainAll:
		return []string{DomainWAN, DomainLAN}
	case DomainWAN, DomainLAN:
		return []string{q.Domain}
	case "":
		if site, _ := rse.Attribute(attributeSite); site == q.Site && site != "" {
			return []string{DomainLAN}
		}
		return []string{DomainWAN}
	default:
		return nil
	}
}

func newListedProtocol(p *Protocol, domain string) listedProtocol {
	priority, _ := p.Priority(OperationRead, domain)
	prefix := p.PFN("")
	return listedProtocol{
		domain: domain, scheme: p.Scheme, host: p.host(), priority: priority,
		prefix: prefix, keepSlash: p.PFN("/x") != prefix+"x",
	}
}

// pfn returns the PFN of a path.
func (p *listedProtocol) pfn(texts *textArena, path string) string {
	if !p.keepSlash && path != "" && path[0] == '/' {
		path = path[1:]
	}
	return texts.join(p.prefix, path)
}

// pathCache remembers the paths of one file at deterministic RSEs: RSEs with the same rule share one.
type pathCache struct {
	scope, name string
	directory   string // of the scope
	known       []rulePath
	texts       textArena
	hash        pathHasher
	made        []byte // by a template
}

type rulePath struct{ algorithm, path string }

func (c *pathCache) reset(scope, name string) {
	if scope != c.scope || c.directory == "" {
		c.directory = scopeDirectory(scope)
	}
	c.scope, c.name, c.known = scope, name, c.known[:0]
}

// path returns where a replica of the file lies at an RSE.
func (c *pathCache) path(rse *listedRSE, r *Replica) string {
	if !rse.rse.Deterministic {
		return r.Path
	}
	for i := range c.known {
		if c.known[i].algorithm == rse.algorithm {
			return c.known[i].path
		}
	}
	path := c.make(rse)
	c.known = append(c.known, rulePath{rse.algorithm, path})
	return path
}

// make is RSE.Path.
func (c *pathCache) make(rse *listedRSE) string {
	if t := rse.rse.template; t != nil {
		c.made = t.appendPath(c.made[:0], c.scope, c.name)
		return c.texts.join(string(c.made))
	}
	if rse.algorithm != algorithmHash {
		return c.texts.join(c.directory, "/", c.name)
	}
	h := c.hash.digits(c.scope, c.name)
	return c.texts.join(c.directory, "/", h[:2], "/", h[2:], "/", c.name)
}

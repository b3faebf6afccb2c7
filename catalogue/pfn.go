package catalogue

import (
	"regexp"
	"strconv"
	"strings"

	"dapple/command"
)

// module returns the part of the implementation's name that decides the form of PFNs: "gfal" of
// "rucio.rse.protocols.gfal.Default".
func (p *Protocol) module() string {
	parts := strings.Split(p.Impl, ".")
	if len(parts) < 2 {
		return p.Impl
	}
	return parts[len(parts)-2]
}

// host returns the host name without the scheme that some write before it.
func (p *Protocol) host() string {
	if _, host, found := strings.Cut(p.Hostname, "://"); found {
		return host
	}
	return p.Hostname
}

// directory returns the prefix with a slash at both ends.
func (p *Protocol) directory() string {
	d := p.Prefix
	if !strings.HasPrefix(d, "/") {
		d = "/" + d
	}
	if !strings.HasSuffix(d, "/") {
		d += "/"
	}
	return d
}

// PFN returns the full name of the file with that path (of Path or PathOfPFN) by this protocol. The rules are those of the
// implementations that clients use: posix shows no port and gfal none that is 0, gfal puts the web service before the
// prefix, and what speaks XRootD keeps the slash that a path of a non-deterministic RSE starts with.
func (p *Protocol) PFN(path string) string {
	var (
		module  = p.module()
		address = p.host()
		service = ""
	)
	if module != "posix" && (module != "gfal" || p.Port != 0) {
		address += ":" + strconv.Itoa(p.Port)
	}
	if module == "gfal" {
		service = p.webServicePath()
	}
	if module != "xrootd" && (module != "gfal" || p.Scheme != "root") {
		path = strings.TrimPrefix(path, "/")
	}
	return p.Scheme + "://" + address + service + p.directory() + path
}

// PFN is the name of a file at a storage element, taken apart.
type PFN struct {
	Scheme, Host string
	// Port is 0 where the name has none.
	Port int
	// Service is the path of the SRM web service with its query up to the file's path, "" where the name has none.
	Service string
	// Path is the file's path with the prefix of the protocol. A query (a signature) is left out.
	Path string
}

const maxPFN = 4096

var srmServices = [...]string{"/srm/managerv1", "/srm/managerv2", "/srm/v2/server"}

// ParsePFN takes a PFN apart, or returns CodeInvalidPath.
func ParsePFN(pfn string) (PFN, error) { return parsePFN(pfn, true) }

// parsePFN is ParsePFN. Without hashInPath, as below feature level 1, a path ends at the first #, which names could not have.
func parsePFN(pfn string, hashInPath bool) (PFN, error) {
	invalid := func(why string) (PFN, error) {
		return PFN{}, Errorf(command.CodeInvalidPath, "PFN '%.256s' %s", pfn, why)
	}
	if len(pfn) > maxPFN {
		return invalid("is longer than " + strconv.Itoa(maxPFN) + " characters")
	}
	if !isPlainText(pfn) {
		return invalid("contains hidden characters")
	}
	scheme, rest, found := strings.Cut(pfn, "://")
	if !found || !schemePattern.MatchString(scheme) {
		return invalid("has no scheme")
	}
	parsed := PFN{Scheme: strings.ToLower(scheme)}
	address, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		address, path = rest[:i], rest[i:]
	}
	host, port, hasPort := strings.Cut(address, ":")
	parsed.Host = host
	if hasPort && port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return invalid("has no valid port")
		}
		parsed.Port = int(n)
	}
	for _, service := range srmServices {
		if !strings.HasPrefix(path, service) {
			continue
		}
		if i := strings.Index(path, "="); i >= 0 {
			parsed.Service, path = path[:i+1], path[i+1:]
		}
	}
	ends := "?#"
	if hashInPath {
		ends = "?"
	}
	if i := strings.IndexAny(path, ends); i >= 0 {
		path = path[:i]
	}
	parsed.Path = path
	return parsed, nil
}

var schemePattern = regexp.MustCompile(`\A[A-Za-z][A-Za-z0-9+.\-_]*\z`)

// pathOf returns the path after the protocol's prefix with one leading slash, and false where the PFN is not of this protocol.
// A PFN that names no port is of any.
func (p *Protocol) pathOf(pfn *PFN) (string, bool) {
	sameHost := pfn.Host == p.host() || pfn.Host == "" && p.Hostname == "localhost"
	if !strings.EqualFold(pfn.Scheme, p.Scheme) || !sameHost || pfn.Port != 0 && pfn.Port != p.Port {
		return "", false
	}
	rest, found := cutDirectory(pfn.Path, p.directory())
	if !found || rest == "" {
		return "", false
	}
	return "/" + rest, true
}

// cutDirectory removes a directory from the beginning of a path, where one slash is as good as several.
func cutDirectory(path, directory string) (string, bool) {
	for _, name := range strings.Split(strings.Trim(directory, "/"), "/") {
		if name == "" {
			continue
		}
		slashless := strings.TrimLeft(path, "/")
		if len(slashless) == len(path) {
			return "", false
		}
		var found bool
		if path, found = strings.CutPrefix(slashless, name); !found {
			return "", false
		}
	}
	slashless := strings.TrimLeft(path, "/")
	return slashless, len(slashless) < len(path)
}

// PathOfPFN returns the path of a PFN at this RSE: what follows the prefix of the protocol that it belongs to, with a leading
// slash. It is the path by which replicas at a non-deterministic RSE are kept. It returns false where the PFN belongs to none of
// the RSE's protocols; where it belongs to several, the longest prefix counts. hashInPath is false below feature level 1, where
// a path ends at the first #.
func (r *RSE) PathOfPFN(pfn string, hashInPath bool) (path string, ok bool) {
	parsed, err := parsePFN(pfn, hashInPath)
	if err != nil {
		return "", false
	}
	for i := range r.Protocols {
		if p, found := r.Protocols[i].pathOf(&parsed); found && (!ok || len(p) < len(path)) {
			path, ok = p, true
		}
	}
	return path, ok
}

// AcceptsPFN reports whether a PFN is the one that a deterministic RSE makes for a file by one of its protocols that write,
// in any domain. Ports and web services of SRM and signatures do not count.
func (r *RSE) AcceptsPFN(scope, name, pfn string) bool {
	want, path := CleanPFN(pfn), r.Path(scope, name)
	for _, p := range r.ProtocolsFor(OperationWrite, DomainAll) {
		if CleanPFN(p.PFN(path)) == want {
			return true
		}
	}
	return false
}

var (
	srmPort     = regexp.MustCompile(`:[0-9]+/`)
	srmService  = regexp.MustCompile(`/srm/managerv1\?SFN=|/srm/managerv2\?SFN=|/srm/v2/server\?SFN=`)
	signedQuery = [...]string{"?GoogleAccessId", "?X-Amz"}
)

// CleanPFN removes from a PFN what may differ between names of the same file: port and web service of SRM, and the query of
// a signed URL.
func CleanPFN(pfn string) string {
	if strings.HasPrefix(pfn, "srm") {
		pfn = srmPort.ReplaceAllLiteralString(pfn, "/")
		pfn = srmService.ReplaceAllLiteralString(pfn, "")
	}
	for _, mark := range signedQuery {
		pfn, _, _ = strings.Cut(pfn, mark)
	}
	return pfn
}

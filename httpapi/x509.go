package httpapi

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// loginX509 gives a token for a client certificate, one that this node has seen itself, or one that a trusted proxy vouches for.
func (s *Server) loginX509(c *gin.Context) {
	s.answerLogin(c, methodX509, func() (*granted, error) {
		names, err := s.certificateNames(c)
		if err != nil {
			return nil, err
		}
		if err := s.formed(); err != nil {
			return nil, err
		}
		v, err := s.reader.View()
		if err != nil {
			return nil, err
		}
		defer v.Close()
		for _, name := range names {
			identity, err := catalogue.GetIdentity(v, catalogue.IdentityX509, name)
			if codeOf(err) == command.CodeIdentityNotFound {
				continue
			}
			if err != nil {
				return nil, err
			}
			return s.grant(c, v, identity, c.GetHeader("X-Rucio-Account"))
		}
		return nil, catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate: no account has the identity %.512s", names[0])
	})
}

// certificateNames returns the ways in which the catalogue may know the holder of the client's certificate.
func (s *Server) certificateNames(c *gin.Context) ([]string, error) {
	if s.fromTrustedProxy(c) {
		name, given, err := proxiedName(c.Request.Header)
		if err != nil {
			return nil, err
		}
		if given {
			return distinguishedNames(name), nil
		}
	}
	state := c.Request.TLS
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil, catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot get DN: the request came with no client certificate")
	}
	holder, err := s.verifyCertificate(state.PeerCertificates, time.Now())
	if err != nil {
		return nil, catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate: %.512s", err.Error())
	}
	var subject pkix.RDNSequence
	if _, err := asn1.Unmarshal(holder.RawSubject, &subject); err != nil {
		return nil, catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot authenticate: the subject of the certificate cannot be read")
	}
	names := subjectNames(subject)
	if len(names) == 0 {
		return nil, refused("the subject of the certificate can be read in two ways")
	}
	return names, nil
}

// proxyInfo marks the certificates of RFC 3820, which users sign with their own for jobs that act for them.
var proxyInfo = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 14}

// verifyCertificate returns the certificate that an authority has signed, after the proxies signed with it.
func (s *Server) verifyCertificate(chain []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	var authorities *x509.CertPool
	if s.tlsFiles != nil {
		_, authorities = s.tlsFiles.current()
	}
	if authorities == nil {
		return nil, fmt.Errorf("this node trusts no authority of client certificates")
	}
	for isProxy(chain[0]) {
		if err := checkProxy(chain, now); err != nil {
			return nil, err
		}
		chain = chain[1:]
	}
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return chain[0], err
}

func isProxy(cert *x509.Certificate) bool {
	return slices.ContainsFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(proxyInfo) })
}

// checkProxy checks the first certificate of a chain against the second, whose holder signed it: RFC 3820, sections 3.4 and 4.1.
func checkProxy(chain []*x509.Certificate, now time.Time) error {
	proxy := chain[0]
	if len(chain) < 2 {
		return fmt.Errorf("the certificate that signed the proxy %s is missing", proxy.Subject)
	}
	signer := chain[1]
	switch {
	case now.Before(proxy.NotBefore) || now.After(proxy.NotAfter):
		return fmt.Errorf("the proxy certificate is not valid now: it is from %s to %s", proxy.NotBefore, proxy.NotAfter)
	case signer.IsCA || !bytes.Equal(proxy.RawIssuer, signer.RawSubject) || !extendsName(proxy, signer):
		return fmt.Errorf("the proxy certificate %s does not belong to %s", proxy.Subject, signer.Subject)
	}
	if err := signer.CheckSignature(proxy.SignatureAlgorithm, proxy.RawTBSCertificate, proxy.Signature); err != nil {
		return fmt.Errorf("the signature of the proxy certificate is wrong: %w", err)
	}
	return nil
}

// extendsName reports whether a proxy is called like its signer with one name more.
func extendsName(proxy, signer *x509.Certificate) bool {
	var long, short pkix.RDNSequence
	if _, err := asn1.Unmarshal(proxy.RawSubject, &long); err != nil {
		return false
	}
	if _, err := asn1.Unmarshal(signer.RawSubject, &short); err != nil {
		return false
	}
	return len(long) == len(short)+1 && slices.Equal(parts(long[:len(short)]), parts(short))
}

// attributeNames are the short names that distinguished names are written with.
var attributeNames = [...]struct {
	id   asn1.ObjectIdentifier
	name string
}{
	{asn1.ObjectIdentifier{2, 5, 4, 3}, "CN"},
	{asn1.ObjectIdentifier{2, 5, 4, 6}, "C"},
	{asn1.ObjectIdentifier{2, 5, 4, 7}, "L"},
	{asn1.ObjectIdentifier{2, 5, 4, 8}, "ST"},
	{asn1.ObjectIdentifier{2, 5, 4, 10}, "O"},
	{asn1.ObjectIdentifier{2, 5, 4, 11}, "OU"},
	{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, "DC"},
	{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, "UID"},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, "emailAddress"},
}

// parts writes each part of a name as CN=x.
func parts(name pkix.RDNSequence) []string {
	var all []string
	for _, set := range name {
		for _, a := range set {
			key := a.Type.String()
			for _, known := range attributeNames {
				if known.id.Equal(a.Type) {
					key = known.name
				}
			}
			all = append(all, fmt.Sprintf("%s=%v", key, a.Value))
		}
	}
	return all
}

// twoParts matches what would look like the beginning of another part within the value of one, once a name is written down.
var twoParts = regexp.MustCompile(`[/,+;][ ]*[A-Za-z0-9.]+=`)

// distinct reports whether parts can be told from each other in a name that is written down: a CN of "x/CN=joe" cannot.
func distinct(parts []string) bool {
	return !slices.ContainsFunc(parts, twoParts.MatchString)
}

// subjectNames writes a subject as the grid does, /C=CH/CN=x, and as RFC 4514 does, CN=x,C=CH. There are none for a subject that
// would look like another.
func subjectNames(name pkix.RDNSequence) []string {
	all := parts(name)
	if !distinct(all) {
		return nil
	}
	grid := "/" + strings.Join(all, "/")
	slices.Reverse(all)
	return []string{grid, strings.Join(all, ",")}
}

// distinguishedNames returns a name as a proxy wrote it, and in the grid's way where it wrote that of RFC 4514.
func distinguishedNames(name string) []string {
	if strings.HasPrefix(name, "/") {
		return []string{name}
	}
	all := strings.Split(name, ",")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	if strings.Contains(name, `\`) || !distinct(all) {
		return []string{name}
	}
	slices.Reverse(all)
	return []string{"/" + strings.Join(all, "/"), name}
}

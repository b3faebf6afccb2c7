package httpapi

import (
	"net/http"

	"dapple/catalogue"
	"dapple/command"
)

// The headers in which a trusted proxy passes on a client's certificate: its verdict and the subject. No other header counts.
const (
	headerProxyVerdict = "X-Ssl-Client-Verify"
	headerProxySubject = "X-Ssl-Client-S-Dn"
	// proxyVerified is the only verdict that makes the subject count, as nginx and Apache write it.
	proxyVerified = "SUCCESS"
)

// proxiedName returns the subject of the certificate that a trusted proxy has verified, and false if the proxy sent neither
// header. It refuses any other form: a header that is missing or comes twice may be the client's own.
func proxiedName(header http.Header) (name string, given bool, err error) {
	verdicts, subjects := header.Values(headerProxyVerdict), header.Values(headerProxySubject)
	if len(verdicts) == 0 && len(subjects) == 0 {
		return "", false, nil
	}
	switch {
	case len(verdicts) != 1 || len(subjects) > 1:
		return "", true, catalogue.Errorf(command.CodeCannotAuthenticate,
			"Cannot get DN: the proxy must send %s and %s exactly once", headerProxyVerdict, headerProxySubject)
	case verdicts[0] != proxyVerified:
		return "", true, catalogue.Errorf(command.CodeCannotAuthenticate,
			"Cannot get DN: the proxy found no valid client certificate (%s: %.100s)", headerProxyVerdict, verdicts[0])
	case len(subjects) == 0 || subjects[0] == "" || subjects[0] == "(null)":
		return "", true, catalogue.Errorf(command.CodeCannotAuthenticate, "Cannot get DN: the proxy sent no subject in %s", headerProxySubject)
	}
	return subjects[0], true, nil
}

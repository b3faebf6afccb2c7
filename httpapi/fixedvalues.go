package httpapi

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// Values out of a fixed list are compared letter by letter, and one that is not in the list is refused: it would change the
// answer in silence. The refusal names the value and the list.

// The lists that several requests have in common.
var (
	listedDomains     = []string{catalogue.DomainWAN, catalogue.DomainLAN, catalogue.DomainAll}
	protocolDomains   = []string{catalogue.DomainLAN, catalogue.DomainWAN}
	protocolOperation = []string{
		catalogue.OperationRead, catalogue.OperationWrite, catalogue.OperationDelete,
		catalogue.OperationThirdPartyCopyRead, catalogue.OperationThirdPartyCopyWrite,
	}
	rseTypes        = []string{catalogue.RSETypeDisk, catalogue.RSETypeTape}
	didTypes        = []string{"DATASET", "CONTAINER", "FILE", "F"}
	stateLetters    = []string{"A", "U", "C", "B", "D", "T"}
	badStateLetters = []string{"B", "D", "L", "R", "S", "T"}
	dynamicDepths   = []string{"FILE", "DATASET"}
)

// oneOf refuses a value that is not in a list.
func oneOf(key, value string, list []string) error {
	if slices.Contains(list, value) {
		return nil
	}
	return catalogue.Errorf(command.CodeInvalidValue, "'%s' must be one of %s, not '%.64s'", key, strings.Join(list, ", "), value)
}

// withList adds the list of the values there are to a refusal.
func withList(err error, list []string) error {
	if err == nil {
		return nil
	}
	return catalogue.Errorf(codeOf(err), "%s: the values are %s", strings.TrimRight(err.Error(), "."), strings.Join(list, ", "))
}

// listedDomain reads the domain of a list: null, or none at all, is the one that fits the place of the client.
func listedDomain(fields object) (string, error) {
	const key = "domain"
	if !fields.has(key) {
		return "", nil
	}
	domain, err := fields.requiredString(key)
	if err == nil && !slices.Contains(listedDomains, domain) {
		err = catalogue.Errorf(command.CodeInvalidValue, "'%s' must be one of %s or null, not '%.64s'", key, strings.Join(listedDomains, ", "), domain)
	}
	return domain, err
}

// identityType reads a type of identities.
func identityType(text string) (catalogue.IdentityType, error) {
	kind, err := catalogue.ParseIdentityType(text)
	return kind, withList(err, catalogue.IdentityTypes())
}

// accountType reads a type of accounts, whose refusal has the list.
func accountType(text string) (string, error) {
	kind, err := catalogue.ParseAccountType(text)
	return kind.String(), err
}

// checkAccountStatus refuses an unknown status of accounts.
func checkAccountStatus(text string) error {
	_, err := catalogue.ParseAccountStatus(text)
	return withList(err, catalogue.AccountStatuses())
}

// schemes are those that storage is known to speak. The protocols of an RSE may have any other.
var schemes = [...]string{
	"cs3s", "dav", "davs", "dcap", "file", "ftp", "gcs", "globus", "gsidcap", "gsiftp", "http", "https", "magnet", "mock", "rclone",
	"rfio", "root", "roots", "rsync", "s3", "s3s", "scp", "sftp", "srm", "srm+https", "ssh", "storm", "xroot", "xroots",
}

// checkSchemes refuses schemes that are neither known nor those of any RSE's protocols.
func checkSchemes(v View, wanted []string) error {
	var configured []string
	for _, scheme := range wanted {
		if slices.Contains(schemes[:], scheme) {
			continue
		}
		if configured == nil {
			configured = slices.Clone(schemes[:])
			err := catalogue.ListRSEs(v, func(r *catalogue.RSE) error {
				for i := range r.Protocols {
					configured = append(configured, r.Protocols[i].Scheme)
				}
				return nil
			})
			if err != nil {
				return err
			}
			slices.Sort(configured)
			configured = slices.Compact(configured)
		}
		if err := oneOf("schemes", scheme, configured); err != nil {
			return err
		}
	}
	return nil
}

// queryFlag reads a boolean of the query that counts as true where it has no value, and as false where it is not there.
func queryFlag(c *gin.Context, key string) (bool, error) {
	if text, given := c.GetQuery(key); given && text == "" {
		return true, nil
	}
	return queryBool(c, key)
}

// notBool is the refusal of a value that is no boolean.
func notBool(key, value string) error {
	return catalogue.Errorf(command.CodeInvalidBody, "'%s' must be a boolean type: true or false, not '%.64s'", key, value)
}

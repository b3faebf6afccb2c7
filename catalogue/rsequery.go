package catalogue

// ListRSEs visits every RSE in ascending order of name until visit returns an error; deleted ones are left out.
func ListRSEs(v View, visit func(*RSE) error) error {
	low := []byte{tableRSEName}
	return v.Scan(low, prefixEnd(low), func(key, value []byte) (bool, error) {
		id, _, err := parseID(value)
		if err != nil {
			return false, recordError(err, "name of RSE", string(key[1:]))
		}
		r, err := RSEByID(v, id)
		if err != nil {
			return false, err
		}
		return true, visit(r)
	})
}

// Availability returns the three availabilities as the API's number: 4 for read, 2 for write and 1 for delete.
func (r *RSE) Availability() int {
	n := 0
	for i, available := range [...]bool{r.AvailableDelete, r.AvailableWrite, r.AvailableRead} {
		if available {
			n |= 1 << i
		}
	}
	return n
}

// Attributes of RSEs that the catalogue itself reads.
const (
	AttributePathAlgorithm  = "lfn2pfn_algorithm"
	AttributeVerifyChecksum = "verify_checksum"
	AttributeSignURL        = "sign_url"
)

// FilePath returns the path of a file at an RSE, for (*Protocol).PFN: made from its name at a deterministic RSE, that of its
// replica at another. It returns false where the file has no replica there that tells.
func FilePath(v View, r *RSE, scope, name string) (path string, found bool, err error) {
	if r.Deterministic {
		return r.Path(scope, name), true, nil
	}
	id, found, err := findScopeID(v, scope)
	if err != nil || !found {
		return "", false, err
	}
	b, found, err := v.Get(didKey(didRef{id, name}))
	if err != nil || !found {
		return "", false, err
	}
	d, err := ParseDID(b)
	if err != nil {
		return "", false, recordError(err, "DID", scope+":"+name)
	}
	i, found := d.Replica(r.ID)
	if !found || d.Replicas[i].Path == "" {
		return "", false, nil
	}
	return d.Replicas[i].Path, true, nil
}

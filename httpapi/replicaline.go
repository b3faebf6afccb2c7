package httpapi

import (
	"strconv"

	"dapple/catalogue"
)

// replicaEncoder writes files with their replicas as lines of JSON, by hand: lists run to millions of files.
type replicaEncoder struct {
	// rses holds the fields that are the same for all PFNs of an RSE.
	rses map[*catalogue.RSE][]byte
	// pfns are the places of the PFNs in the line, with their quotes, since each is written twice; none where a PFN is not written.
	pfns  []span
	limit int
	// parents is set where the collections above a file were asked for.
	parents bool
	// versions is set where the versions of replicas were asked for.
	versions bool
}

// span is where something stands in a buffer.
type span struct{ from, to int }

// shown returns the PFNs within the limit.
func shown(pfns []catalogue.ListedPFN, limit int) []catalogue.ListedPFN {
	if limit >= 0 && limit < len(pfns) {
		return pfns[:limit]
	}
	return pfns
}

// appendFile appends the line of a file.
func (e *replicaEncoder) appendFile(b []byte, f *catalogue.ListedFile) []byte {
	b = appendJSONString(append(b, `{"scope": `...), f.Scope)
	b = appendJSONString(append(b, `, "name": `...), f.Name)
	b = strconv.AppendUint(append(b, `, "bytes": `...), f.Bytes, 10)
	b = appendJSONStringOrNull(append(b, `, "md5": `...), f.MD5)
	b = appendJSONStringOrNull(append(b, `, "adler32": `...), f.Adler32)
	b = append(b, `, "pfns": {`...)
	b = e.appendPFNs(b, f)
	b = e.appendRSEs(append(b, `}, "rses": {`...), f)
	b = append(b, `}, "states": {`...)
	for i := range f.Replicas {
		r := &f.Replicas[i]
		b = appendJSONString(comma(b, i), r.RSE.Name)
		b = appendJSONString(append(b, ": "...), r.State.String())
	}
	b = append(b, '}')
	if e.versions {
		b = appendVersions(b, f)
	}
	if e.parents {
		b = append(b, `, "parents": [`...)
		for i, parent := range f.Parents {
			b = appendJSONString(comma(b, i), parent.String())
		}
		b = append(b, ']')
	}
	return append(b, '}', '\n')
}

// appendVersions appends the versions of the file's own replicas, by RSE.
func appendVersions(b []byte, f *catalogue.ListedFile) []byte {
	b = append(b, `, "versions": {`...)
	written := 0
	for i := range f.Replicas {
		r := &f.Replicas[i]
		if r.Version == 0 {
			continue
		}
		b = appendJSONString(comma(b, written), r.RSE.Name)
		b = strconv.AppendUint(append(b, ": "...), r.Version, 10)
		written++
	}
	return append(b, '}')
}

// comma separates the items of a list.
func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ", "...)
	}
	return b
}

// appendPFNs appends the PFNs within the limit, each once: what is repeated with another RSE would be the same key.
func (e *replicaEncoder) appendPFNs(b []byte, f *catalogue.ListedFile) []byte {
	e.pfns = e.pfns[:0]
	written := 0
	for i := range f.PFNs {
		p := &f.PFNs[i]
		if p.Repeated || (e.limit >= 0 && written >= e.limit) {
			e.pfns = append(e.pfns, span{})
			continue
		}
		b = e.appendPFN(comma(b, written), p, written+1)
		written++
	}
	return b
}

func (e *replicaEncoder) appendPFN(b []byte, p *catalogue.ListedPFN, priority int) []byte {
	fields := e.rses[p.RSE]
	if fields == nil {
		fields = appendJSONString([]byte(`: {"rse_id": `), p.RSE.UUIDString())
		fields = appendJSONString(append(fields, `, "rse": `...), p.RSE.Name)
		fields = appendJSONString(append(fields, `, "type": `...), p.RSE.Type)
		fields = strconv.AppendBool(append(fields, `, "volatile": `...), p.RSE.Volatile)
		fields = append(fields, `, "domain": "`...)
		e.rses[p.RSE] = fields
	}
	from := len(b)
	b = appendJSONString(b, p.PFN)
	e.pfns = append(e.pfns, span{from, len(b)})
	b = append(append(b, fields...), p.Domain...)
	b = strconv.AppendInt(append(b, `", "priority": `...), int64(priority), 10)
	b = strconv.AppendBool(append(b, `, "client_extract": `...), p.ClientExtract)
	return append(b, '}')
}

// appendRSEs appends the PFNs of each RSE, the RSEs in the order of their best PFN.
func (e *replicaEncoder) appendRSEs(b []byte, f *catalogue.ListedFile) []byte {
	written := 0
	for i := range f.PFNs {
		rse := f.PFNs[i].RSE
		if before(f.PFNs[:i], rse) {
			continue
		}
		b = appendJSONString(comma(b, written), rse.Name)
		b = append(b, ": ["...)
		written++
		listed := 0
		for j := i; j < len(f.PFNs); j++ {
			if f.PFNs[j].RSE == rse {
				b = comma(b, listed)
				if at := e.pfns[j]; at.to > 0 {
					b = append(b, b[at.from:at.to]...)
				} else { // repeated, or beyond the limit
					b = appendJSONString(b, f.PFNs[j].PFN)
				}
				listed++
			}
		}
		b = append(b, ']')
	}
	return b
}

func before(pfns []catalogue.ListedPFN, rse *catalogue.RSE) bool {
	for i := range pfns {
		if pfns[i].RSE == rse {
			return true
		}
	}
	return false
}

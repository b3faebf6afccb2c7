package catalogue

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"dapple/command"
)

// RSE is a storage element with its attributes and protocols. ID is its number in keys, assigned once and never reused; UUID
// is what the API calls its id.
type RSE struct {
	ID       uint32
	UUID     [16]byte
	Name     string
	Revision uint64
	// Created and Updated are log times in microseconds. Deleted is 0 for an RSE that exists; the record of a deleted one
	// stays for what still names its number.
	Created, Updated, Deleted int64
	// Type is DISK or TAPE (or UNKNOWN).
	Type                                           string
	Deterministic, Volatile, Staging               bool
	AvailableRead, AvailableWrite, AvailableDelete bool
	// City and the rest describe the place; "" where unknown.
	City, RegionCode, CountryName, Continent, TimeZone, ISP, ASN, QoSClass string
	Longitude, Latitude                                                    *float64
	// Attributes in ascending order of key. The attribute that every RSE has of its own name is not stored.
	Attributes []RSEAttribute
	// Protocols in ascending order of host name, scheme and port; no two have all three alike.
	Protocols []Protocol

	// defaultAlgorithm and template are what settings of the cluster say about the paths of this RSE: the algorithm where it
	// names none, "" for hash, and the template of its algorithm, nil for one of another kind.
	defaultAlgorithm string
	template         *pathTemplate
}

// RSEAttribute is one attribute of an RSE. The values "true" and "false" stand for booleans, any other is a text.
type RSEAttribute struct{ Key, Value string }

// Protocol is one way to reach an RSE.
type Protocol struct {
	Scheme, Hostname, Prefix, Impl string
	Port                           int
	LAN, WAN                       Priorities
	// ExtendedAttributes is the JSON that was given, "" for none.
	ExtendedAttributes string
}

// Priorities of the operations in one domain: 1 is tried first, PriorityNone means that the operation is not offered, and so does 0
// in a protocol that has a priority above it (see Protocol.Priority).
type Priorities struct {
	Read, Write, Delete                     int
	ThirdPartyCopyRead, ThirdPartyCopyWrite int
}

// PriorityNone is the priority of an operation that was never set; the API shows it as null.
const PriorityNone = -1

const rseFormat = 1

// Flags of an RSE record.
const (
	rseDeterministic = 1 << iota
	rseVolatile
	rseStaging
	rseRead
	rseWrite
	rseDelete
	rseLongitude
	rseLatitude
)

// flagFields pairs the boolean fields with their flags.
func (r *RSE) flagFields() [6]*bool {
	return [...]*bool{&r.Deterministic, &r.Volatile, &r.Staging, &r.AvailableRead, &r.AvailableWrite, &r.AvailableDelete}
}

// textFields lists the text fields in the order in which they are stored.
func (r *RSE) textFields() [9]*string {
	return [...]*string{&r.Type, &r.City, &r.RegionCode, &r.CountryName, &r.Continent, &r.TimeZone, &r.ISP, &r.ASN, &r.QoSClass}
}

func appendRSE(b []byte, r *RSE) []byte {
	var flags uint64
	for i, field := range r.flagFields() {
		if *field {
			flags |= 1 << i
		}
	}
	if r.Longitude != nil {
		flags |= rseLongitude
	}
	if r.Latitude != nil {
		flags |= rseLatitude
	}
	b = append(b, rseFormat)
	b = append(b, r.UUID[:]...)
	b = appendString(b, r.Name)
	b = binary.AppendUvarint(b, r.Revision)
	for _, t := range [...]int64{r.Created, r.Updated, r.Deleted} {
		b = binary.AppendVarint(b, t)
	}
	b = binary.AppendUvarint(b, flags)
	for _, field := range r.textFields() {
		b = appendString(b, *field)
	}
	for _, degrees := range [...]*float64{r.Longitude, r.Latitude} {
		if degrees != nil {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(*degrees))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(r.Attributes)))
	for _, a := range r.Attributes {
		b = appendString(appendString(b, a.Key), a.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Protocols)))
	for i := range r.Protocols {
		b = appendProtocol(b, &r.Protocols[i])
	}
	return b
}

func appendProtocol(b []byte, p *Protocol) []byte {
	for _, text := range [...]string{p.Scheme, p.Hostname, p.Prefix, p.Impl, p.ExtendedAttributes} {
		b = appendString(b, text)
	}
	b = binary.AppendVarint(b, int64(p.Port))
	for _, domain := range [...]*Priorities{&p.LAN, &p.WAN} {
		for _, priority := range domain.fields() {
			b = binary.AppendVarint(b, int64(*priority))
		}
	}
	return b
}

// fields lists the priorities in the order in which they are stored.
func (p *Priorities) fields() [5]*int {
	return [...]*int{&p.Read, &p.Write, &p.Delete, &p.ThirdPartyCopyRead, &p.ThirdPartyCopyWrite}
}

func parseRSE(id uint32, b []byte) (*RSE, error) {
	d := newRecordReader(b, rseFormat)
	r := &RSE{ID: id}
	copy(r.UUID[:], d.take(uint64(len(r.UUID))))
	r.Name, r.Revision = d.string(), d.uvarint()
	r.Created, r.Updated, r.Deleted = d.varint(), d.varint(), d.varint()
	flags := d.uvarint()
	for i, field := range r.flagFields() {
		*field = flags&(1<<i) != 0
	}
	for _, field := range r.textFields() {
		*field = d.string()
	}
	if flags&rseLongitude != 0 {
		r.Longitude = d.float()
	}
	if flags&rseLatitude != 0 {
		r.Latitude = d.float()
	}
	for range d.count(2) {
		r.Attributes = append(r.Attributes, RSEAttribute{d.string(), d.string()})
	}
	for range d.count(16) {
		r.Protocols = append(r.Protocols, d.protocol())
	}
	return r, recordError(d.done(), "RSE", r.Name)
}

func (r *recordReader) float() *float64 {
	b := r.take(8)
	if len(b) < 8 {
		return nil
	}
	f := math.Float64frombits(binary.BigEndian.Uint64(b))
	return &f
}

func (r *recordReader) protocol() Protocol {
	p := Protocol{Scheme: r.string(), Hostname: r.string(), Prefix: r.string(), Impl: r.string(), ExtendedAttributes: r.string()}
	p.Port = int(r.varint())
	for _, domain := range [...]*Priorities{&p.LAN, &p.WAN} {
		for _, priority := range domain.fields() {
			*priority = int(r.varint())
		}
	}
	return p
}

// UUIDString returns the API's id of the RSE: 32 lower-case hexadecimal digits.
func (r *RSE) UUIDString() string { return hex.EncodeToString(r.UUID[:]) }

// Attribute returns the value of an attribute, and false where the RSE has none of that key. An RSE has the attribute of its
// own name with the value "true".
func (r *RSE) Attribute(key string) (string, bool) {
	for i := range r.Attributes {
		if r.Attributes[i].Key == key {
			return r.Attributes[i].Value, true
		}
	}
	if key == r.Name {
		return "true", true
	}
	return "", false
}

// setAttribute sets an attribute and keeps the order.
func (r *RSE) setAttribute(key, value string) {
	i := 0
	for i < len(r.Attributes) && r.Attributes[i].Key < key {
		i++
	}
	if i < len(r.Attributes) && r.Attributes[i].Key == key {
		r.Attributes[i].Value = value
		return
	}
	r.Attributes = append(r.Attributes, RSEAttribute{})
	copy(r.Attributes[i+1:], r.Attributes[i:])
	r.Attributes[i] = RSEAttribute{key, value}
}

// deleteAttribute removes an attribute and reports whether it was there.
func (r *RSE) deleteAttribute(key string) bool {
	for i := range r.Attributes {
		if r.Attributes[i].Key == key {
			r.Attributes = append(r.Attributes[:i], r.Attributes[i+1:]...)
			return true
		}
	}
	return false
}

// putRSE stores an RSE with its indexes by name and UUID.
func putRSE(tx Tx, r *RSE) {
	id := appendID(nil, r.ID)
	tx.Put(idKey(tableRSE, r.ID), appendRSE(nil, r))
	tx.Put(append([]byte{tableRSEUUID}, r.UUID[:]...), id)
	if r.Deleted == 0 {
		tx.Put(textKey(tableRSEName, r.Name), id)
	}
}

// GetRSE returns an RSE by name, or CodeRSENotFound.
func GetRSE(v View, name string) (*RSE, error) {
	r, found, err := findRSE(v, name)
	if err == nil && !found {
		err = Errorf(command.CodeRSENotFound, "RSE '%s' cannot be found in vo 'def'", name)
	}
	return r, err
}

func findRSE(v View, name string) (*RSE, bool, error) {
	b, found, err := v.Get(textKey(tableRSEName, name))
	if err != nil || !found {
		return nil, false, err
	}
	id, _, err := parseID(b)
	if err != nil {
		return nil, false, recordError(err, "name of RSE", name)
	}
	r, err := RSEByID(v, id)
	return r, err == nil, err
}

// RSEByID returns an RSE by its number, deleted ones too; a number that is unknown is a damaged store.
func RSEByID(v View, id uint32) (*RSE, error) {
	b, found, err := v.Get(idKey(tableRSE, id))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: no RSE has number %d", ErrRecord, id)
	}
	r, err := parseRSE(id, b)
	if err == nil {
		err = r.loadPaths(v)
	}
	return r, err
}

// RSEByUUID returns an RSE by the API's id, or CodeRSENotFound.
func RSEByUUID(v View, uuid [16]byte) (*RSE, error) {
	notFound := Errorf(command.CodeRSENotFound, "RSE with id '%x' cannot be found", uuid)
	b, found, err := v.Get(append([]byte{tableRSEUUID}, uuid[:]...))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound
	}
	id, _, err := parseID(b)
	if err != nil {
		return nil, fmt.Errorf("RSE %x: %w", uuid, err)
	}
	r, err := RSEByID(v, id)
	if err != nil {
		return nil, err
	}
	if r.Deleted != 0 {
		return nil, notFound
	}
	return r, nil
}

// ParseUUID reads 32 hexadecimal digits, with or without dashes.
func ParseUUID(text string) (uuid [16]byte, ok bool) {
	digits := make([]byte, 0, 32)
	for i := range len(text) {
		if text[i] != '-' {
			digits = append(digits, text[i])
		}
	}
	if len(digits) != 32 {
		return uuid, false
	}
	_, err := hex.Decode(uuid[:], digits)
	return uuid, err == nil
}

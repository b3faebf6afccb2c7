package catalogue

import (
	"math"

	"dapple/command"
)

// AddRSE makes an RSE.
func AddRSE(tx Tx, at Stamp, c *command.AddRSE) ([]byte, error) {
	schema, err := NameSchemaOf(tx)
	if err != nil {
		return nil, err
	}
	if err := schema.CheckRSE(c.Name); err != nil {
		return nil, err
	}
	if len(c.Uuid) != 16 {
		return nil, Errorf(command.CodeInvalidObject, "the id of an RSE has 16 bytes, not %d", len(c.Uuid))
	}
	r := &RSE{
		Name: c.Name, UUID: [16]byte(c.Uuid), Created: at.Time, Updated: at.Time,
		Type: RSETypeDisk, Deterministic: true, AvailableRead: true, AvailableWrite: true, AvailableDelete: true,
	}
	if err := r.applySettings(c.Settings); err != nil {
		return nil, err
	}
	if err := Authorize(tx, at.Issuer, ActionAddRSE); err != nil {
		return nil, err
	}
	if err := requireRSENameFree(tx, c.Name); err != nil {
		return nil, err
	}
	if _, found, err := tx.Get(append([]byte{tableRSEUUID}, c.Uuid...)); err != nil {
		return nil, err
	} else if found {
		return nil, Errorf(command.CodeRSEExists, "RSE with id '%x' already exists!", c.Uuid)
	}
	if c.Settings != nil && c.Settings.Lfn2PfnAlgorithm != nil {
		if err := checkAttribute(tx, AttributePathAlgorithm, *c.Settings.Lfn2PfnAlgorithm); err != nil {
			return nil, err
		}
		r.setAttribute(AttributePathAlgorithm, *c.Settings.Lfn2PfnAlgorithm)
	}
	id, err := nextID(tx, idRSE)
	if err != nil {
		return nil, err
	}
	r.ID = id
	putNextID(tx, idRSE, id+1)
	r.Revision = tx.Note(at, Change{Kind: ChangeRSEAdded, RSE: r.Name})
	putRSE(tx, r)
	return nil, nil
}

func requireRSENameFree(v View, name string) error {
	_, found, err := v.Get(textKey(tableRSEName, name))
	if err == nil && found {
		err = Errorf(command.CodeRSEExists, "RSE '%s' already exists!", name)
	}
	return err
}

// UpdateRSE changes properties of an RSE, whatever is given, and its name.
func UpdateRSE(tx Tx, at Stamp, c *command.UpdateRSE) ([]byte, error) {
	r, err := changeableRSE(tx, at, c.Name, ActionUpdateRSE)
	if err != nil {
		return nil, err
	}
	if err := r.applySettings(c.Settings); err != nil {
		return nil, err
	}
	if c.NewName != "" && c.NewName != c.Name {
		schema, err := NameSchemaOf(tx)
		if err != nil {
			return nil, err
		}
		if err := schema.CheckRSE(c.NewName); err != nil {
			return nil, err
		}
		if err := requireRSENameFree(tx, c.NewName); err != nil {
			return nil, err
		}
		r.Name = c.NewName
		tx.Delete(textKey(tableRSEName, c.Name))
		tx.Note(at, Change{Kind: ChangeRSEChanged, RSE: c.Name, Type: changedName, Old: c.Name, New: c.NewName})
	}
	storeRSE(tx, at, r, changedSettings, "", "")
	return nil, nil
}

// DeleteRSE takes an RSE out of use that holds no file. The name is free again, the number is not.
func DeleteRSE(tx Tx, at Stamp, c *command.DeleteRSE) ([]byte, error) {
	r, err := changeableRSE(tx, at, c.Name, ActionDeleteRSE)
	if err != nil {
		return nil, err
	}
	held, err := GetCounters(tx, r.ID)
	if err != nil {
		return nil, err
	}
	if held.Total().Files != 0 {
		return nil, Errorf(command.CodeRSENotEmpty, "RSE '%s' is not empty", c.Name)
	}
	if err := deleteDistances(tx, r.ID); err != nil {
		return nil, err
	}
	if err := deleteUsage(tx, r.ID); err != nil {
		return nil, err
	}
	r.Deleted = at.Time
	tx.Delete(textKey(tableRSEName, r.Name))
	tx.Delete(idKey(tableRSECounter, r.ID))
	r.Updated, r.Revision = at.Time, tx.Note(at, Change{Kind: ChangeRSEDeleted, RSE: r.Name})
	putRSE(tx, r)
	return nil, nil
}

// SetRSEAttribute sets an attribute of an RSE.
func SetRSEAttribute(tx Tx, at Stamp, c *command.SetRSEAttribute) ([]byte, error) {
	if c.Key == "" {
		return nil, Errorf(command.CodeInvalidObject, "an attribute needs a key")
	}
	for _, text := range [...]string{c.Key, c.Value} {
		if err := ValidateText("RSE attribute", text); err != nil {
			return nil, err
		}
	}
	r, err := changeableRSE(tx, at, c.Rse, ActionAddRSEAttribute)
	if err != nil {
		return nil, err
	}
	if _, found := r.Attribute(c.Key); !found && len(r.Attributes) >= maxRSEParts {
		return nil, Errorf(command.CodeTooManyItems, "RSE '%s' has %d attributes already", c.Rse, maxRSEParts)
	}
	value := NormalizeAttribute(c.Value)
	if err := checkAttribute(tx, c.Key, value); err != nil {
		return nil, err
	}
	r.setAttribute(c.Key, value)
	storeRSE(tx, at, r, changedAttribute, c.Key, jsonText(value))
	return nil, nil
}

// checkAttribute refuses values that an attribute cannot have: an unknown path algorithm. Below feature level 1 any could be set.
func checkAttribute(v View, key, value string) error {
	if key != AttributePathAlgorithm || value == algorithmDefault {
		return nil
	}
	if level, err := FeatureLevel(v); err != nil || level < 1 {
		return err
	}
	return requirePathAlgorithm(v, value)
}

// DeleteRSEAttribute takes an attribute away. The attribute of the RSE's own name stays.
func DeleteRSEAttribute(tx Tx, at Stamp, c *command.DeleteRSEAttribute) ([]byte, error) {
	r, err := changeableRSE(tx, at, c.Rse, ActionDeleteRSEAttribute)
	switch {
	case err != nil:
		return nil, err
	case r.deleteAttribute(c.Key):
	case c.Key == r.Name:
		return nil, Errorf(command.CodeInputValidation, "The attribute of its own name can not be taken from RSE '%s'", r.Name)
	default:
		return nil, Errorf(command.CodeRSEAttributeNotFound, "RSE attribute '%s' cannot be found", c.Key)
	}
	storeRSE(tx, at, r, changedAttribute, c.Key, "")
	return nil, nil
}

// maxRSEParts bounds attributes and protocols of one RSE, whose record is read with every replica listed.
const maxRSEParts = 256

// changeableRSE returns an RSE that the issuer may change in that way.
func changeableRSE(v View, at Stamp, name string, action Action) (*RSE, error) {
	r, err := GetRSE(v, name)
	if err == nil {
		err = Authorize(v, at.Issuer, action, name)
	}
	return r, err
}

// What of an RSE or an account an event says has changed.
const (
	changedSettings  = "settings"
	changedName      = "name"
	changedAttribute = "attribute"
	changedProtocol  = "protocol"
	changedDistance  = "distance"
	changedUsage     = "usage"
	changedLimit     = "limit"
)

// rseChange is the event of an RSE: what has changed, and where it has a key, which; value is JSON.
func rseChange(rse, what, key, value string) Change {
	return Change{Kind: ChangeRSEChanged, RSE: rse, Type: what, Key: key, Value: value}
}

// storeRSE stores an RSE that the command has changed, with the event that says what.
func storeRSE(tx Tx, at Stamp, r *RSE, what, key, value string) {
	r.Updated, r.Revision = at.Time, tx.Note(at, rseChange(r.Name, what, key, value))
	putRSE(tx, r)
}

// applySettings checks and sets the properties that are given. Where the RSE is, is an attribute of it too.
func (r *RSE) applySettings(s *command.RSESettings) error {
	if s == nil {
		return nil
	}
	setFlags(r, s)
	if s.RseType != nil {
		if *s.RseType != RSETypeDisk && *s.RseType != RSETypeTape {
			return Errorf(command.CodeInvalidObject, "Invalid rse_type: %.64s", *s.RseType)
		}
		r.Type = *s.RseType
	}
	if s.QosClass != nil {
		if err := ValidateText("qos_class", *s.QosClass); err != nil {
			return err
		}
		r.QoSClass = *s.QosClass
	}
	for _, place := range [...]struct {
		key     string
		value   *string
		longest int
	}{
		{"city", s.City, maxText},
		{"region_code", s.RegionCode, 2},
		{"country_name", s.CountryName, maxText},
		{"continent", s.Continent, 2},
		{"time_zone", s.TimeZone, maxText},
		{"ISP", s.Isp, maxText},
		{"ASN", s.Asn, maxText},
	} {
		if place.value == nil {
			continue
		}
		if len(*place.value) > place.longest {
			return Errorf(command.CodeInvalidObject, "'%s' is longer than %d characters", place.key, place.longest)
		}
		if err := ValidateText(place.key, *place.value); err != nil {
			return err
		}
		r.setPlace(place.key, *place.value)
	}
	return r.setCoordinates(s)
}

func setFlags(r *RSE, s *command.RSESettings) {
	for _, f := range [...]struct{ field, value *bool }{
		{&r.Deterministic, s.Deterministic},
		{&r.Volatile, s.Volatile},
		{&r.Staging, s.StagingArea},
		{&r.AvailableRead, s.AvailabilityRead},
		{&r.AvailableWrite, s.AvailabilityWrite},
		{&r.AvailableDelete, s.AvailabilityDelete},
	} {
		if f.value != nil {
			*f.field = *f.value
		}
	}
}

func (r *RSE) setPlace(key, value string) {
	*r.place(key) = value
	if value == "" {
		r.deleteAttribute(key)
		return
	}
	r.setAttribute(key, NormalizeAttribute(value))
}

func (r *RSE) setCoordinates(s *command.RSESettings) error {
	for _, c := range [...]struct {
		field **float64
		value *float64
		clear bool
		name  string
		limit float64
	}{
		{&r.Longitude, s.Longitude, s.ClearLongitude, "longitude", 180},
		{&r.Latitude, s.Latitude, s.ClearLatitude, "latitude", 90},
	} {
		if c.clear {
			*c.field = nil
		}
		if c.value == nil {
			continue
		}
		if math.IsNaN(*c.value) || math.Abs(*c.value) > c.limit {
			return Errorf(command.CodeInvalidObject, "'%s' is not between -%g and %g", c.name, c.limit, c.limit)
		}
		degrees := *c.value
		*c.field = &degrees
	}
	return nil
}

package httpapi

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"dapple/catalogue"
	"dapple/command"
)

// rseRoutes are the rows of RSEs, their attributes and protocols.
func (s *Server) rseRoutes() []route {
	rses := []route{
		{get, "/rses", s.listRSEs, needsToken},
		{get, "/rses/:rse", s.getRSE, needsToken},
		{post, "/rses/:rse", s.addRSE, needsToken},
		{put, "/rses/:rse", s.updateRSE, needsToken},
		{remove, "/rses/:rse", s.deleteRSE, needsToken},
		{get, "/rses/:rse/attr", s.listRSEAttributes, needsToken},
		{get, "/rses/:rse/attr/:key", s.getRSEAttribute, needsToken},
		{post, "/rses/:rse/attr/:key", s.setRSEAttribute, needsToken},
		{remove, "/rses/:rse/attr/:key", s.deleteRSEAttribute, needsToken},
	}
	return slices.Concat(rses, s.usageRoutes(), s.distanceRoutes(), s.protocolRoutes())
}

// rseAnswer is what is told of one RSE with its protocols.
type rseAnswer struct {
	AvailabilityDelete bool             `json:"availability_delete"`
	AvailabilityRead   bool             `json:"availability_read"`
	AvailabilityWrite  bool             `json:"availability_write"`
	Credentials        any              `json:"credentials"`
	Deterministic      bool             `json:"deterministic"`
	Domain             [2]string        `json:"domain"`
	ID                 string           `json:"id"`
	LFN2PFNAlgorithm   any              `json:"lfn2pfn_algorithm"`
	Protocols          []protocolAnswer `json:"protocols"`
	QoSClass           any              `json:"qos_class"`
	RSE                string           `json:"rse"`
	RSEType            string           `json:"rse_type"`
	SignURL            any              `json:"sign_url"`
	StagingArea        bool             `json:"staging_area"`
	VerifyChecksum     any              `json:"verify_checksum"`
	Volatile           bool             `json:"volatile"`
	// Availability is nil where the answer is about the protocols.
	Availability *int `json:"availability,omitempty"`
}

func newRSEAnswer(r *catalogue.RSE) rseAnswer {
	attribute := func(key string, absent any) any {
		if value, found := r.Attribute(key); found && value != "" {
			return attributeValue(value)
		}
		return absent
	}
	return rseAnswer{
		AvailabilityDelete: r.AvailableDelete, AvailabilityRead: r.AvailableRead, AvailabilityWrite: r.AvailableWrite,
		Deterministic: r.Deterministic, Domain: [2]string{catalogue.DomainLAN, catalogue.DomainWAN}, ID: r.UUIDString(),
		LFN2PFNAlgorithm: attribute(catalogue.AttributePathAlgorithm, r.PathAlgorithm()), Protocols: newProtocolAnswers(r),
		QoSClass: textOrNil(r.QoSClass), RSE: r.Name, RSEType: r.Type, SignURL: attribute(catalogue.AttributeSignURL, nil),
		StagingArea: r.Staging, VerifyChecksum: attribute(catalogue.AttributeVerifyChecksum, true), Volatile: r.Volatile,
	}
}

func (s *Server) getRSE(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		answer, availability := newRSEAnswer(r), r.Availability()
		answer.Availability = &availability
		return answer, nil
	})
}

// listRSEs lists the names of the RSEs of an expression, or all RSEs with their properties.
func (s *Server) listRSEs(c *gin.Context) {
	expression := c.Query("expression")
	s.readLines(c, func(v View, line func(any) error) error {
		if expression == "" {
			return catalogue.ListRSEs(v, func(r *catalogue.RSE) error { return line(newRSEItem(r)) })
		}
		found, err := catalogue.ResolveExpression(v, expression)
		if err != nil {
			return err
		}
		for _, r := range found {
			if err := line(map[string]string{"rse": r.Name}); err != nil {
				return err
			}
		}
		return nil
	})
}

// newRSEItem is one line of the list of all RSEs.
func newRSEItem(r *catalogue.RSE) map[string]any {
	return map[string]any{
		"id": r.UUIDString(), "rse": r.Name, "vo": "def", "rse_type": r.Type, "deterministic": r.Deterministic,
		"volatile": r.Volatile, "staging_area": r.Staging, "city": textOrNil(r.City), "region_code": textOrNil(r.RegionCode),
		"country_name": textOrNil(r.CountryName), "continent": textOrNil(r.Continent), "time_zone": textOrNil(r.TimeZone),
		"ISP": textOrNil(r.ISP), "ASN": textOrNil(r.ASN), "longitude": r.Longitude, "latitude": r.Latitude,
		"availability": r.Availability(), "availability_read": r.AvailableRead, "availability_write": r.AvailableWrite,
		"availability_delete": r.AvailableDelete, "qos_class": textOrNil(r.QoSClass), "deleted": false, "deleted_at": nil,
		"created_at": formatTime(r.Created), "updated_at": formatTime(r.Updated),
	}
}

func (s *Server) addRSE(c *gin.Context) {
	body, ok := s.decodeOptionalObject(c)
	if !ok {
		return
	}
	name := c.Param("rse")
	err := catalogue.ValidateName("rse", name)
	if err == nil && body.has("availability") && slices.ContainsFunc(availabilities[:], body.has) {
		err = catalogue.Errorf(command.CodeInputValidation,
			"'availability' can not be specified with 'availability_read', 'availability_write' or 'availability_delete'")
	}
	var settings *command.RSESettings
	if err == nil {
		settings, err = rseSettings(body)
	}
	if err == nil && body.has(catalogue.AttributePathAlgorithm) {
		settings.Lfn2PfnAlgorithm, err = s.newPathAlgorithm(body)
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	id := uuid.New()
	if _, ok := s.propose(c, command.TypeAddRSE, &command.AddRSE{Name: name, Uuid: id[:], Settings: settings}); ok {
		s.created(c)
	}
}

// newPathAlgorithm reads the path algorithm of a new RSE. Below feature level 1 the key is left alone, as it was before.
func (s *Server) newPathAlgorithm(body object) (*string, error) {
	name, err := body.requiredString(catalogue.AttributePathAlgorithm)
	if err != nil {
		return nil, err
	}
	v, err := s.reader.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	if level, err := catalogue.FeatureLevel(v); err != nil || level < 1 {
		return nil, err
	}
	return &name, nil
}

func (s *Server) updateRSE(c *gin.Context) {
	body, ok := s.decodeOptionalObject(c)
	if !ok {
		return
	}
	update := &command.UpdateRSE{Name: c.Param("rse")}
	if err := rseUpdate(body, update); err != nil {
		s.fail(c, err)
		return
	}
	if _, ok := s.propose(c, command.TypeUpdateRSE, update); ok {
		s.created(c)
	}
}

var (
	availabilities = [...]string{"availability_read", "availability_write", "availability_delete"}
	// mutableSettings are the keys that a change of an RSE may have.
	mutableSettings = [...]string{
		"name", "availability", "availability_read", "availability_write", "availability_delete", "latitude", "longitude",
		"time_zone", "rse_type", "volatile", "deterministic", "region_code", "country_name", "city", "staging_area",
		"qos_class", "continent",
	}
)

func rseUpdate(body object, update *command.UpdateRSE) (err error) {
	for key := range body {
		if !slices.Contains(mutableSettings[:], key) {
			return catalogue.Errorf(command.CodeInputValidation, "The key '%s' does not exist for RSE properties.", key)
		}
	}
	if body.has("name") {
		if update.NewName, err = body.requiredString("name"); err != nil {
			return err
		}
		if err = catalogue.ValidateName("rse", update.NewName); err != nil {
			return err
		}
	}
	update.Settings, err = rseSettings(body)
	return err
}

// rseSettings reads the properties of an RSE; other keys are left alone. A null takes a text or a coordinate away and leaves
// anything else as it is.
func rseSettings(body object) (*command.RSESettings, error) {
	s := &command.RSESettings{}
	if err := setAvailability(body, s); err != nil {
		return nil, err
	}
	for key, field := range map[string]**bool{
		"deterministic": &s.Deterministic, "volatile": &s.Volatile, "staging_area": &s.StagingArea,
		"availability_read": &s.AvailabilityRead, "availability_write": &s.AvailabilityWrite,
		"availability_delete": &s.AvailabilityDelete,
	} {
		if !body.has(key) {
			continue
		}
		value, err := settingBool(body, key)
		if err != nil {
			return nil, err
		}
		*field = &value
	}
	for key, field := range map[string]**string{
		"city": &s.City, "region_code": &s.RegionCode, "country_name": &s.CountryName, "continent": &s.Continent,
		"time_zone": &s.TimeZone, "ISP": &s.Isp, "ASN": &s.Asn, "qos_class": &s.QosClass, "rse_type": &s.RseType,
	} {
		value, err := body.optionalString(key)
		if err != nil {
			return nil, err
		}
		if _, found := body[key]; found && (key != "rse_type" || body.has(key)) {
			*field = &value
		}
	}
	if s.RseType != nil {
		if err := oneOf("rse_type", *s.RseType, rseTypes); err != nil {
			return nil, catalogue.Errorf(command.CodeInvalidObject, "Invalid rse_type: %v", err)
		}
	}
	if s.QosClass != nil && slices.Contains([]string{"none", "null"}, strings.ToLower(*s.QosClass)) {
		*s.QosClass = ""
	}
	return s, errorOf(setCoordinate(body, "longitude", &s.Longitude, &s.ClearLongitude),
		setCoordinate(body, "latitude", &s.Latitude, &s.ClearLatitude))
}

// errorOf returns the first error there is.
func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// setAvailability reads the number that stands for all three availabilities.
func setAvailability(body object, s *command.RSESettings) error {
	if !body.has("availability") {
		return nil
	}
	n, err := body.optionalUint("availability", 7, 0)
	if err != nil {
		return err
	}
	read, write, remove := n&4 != 0, n&2 != 0, n&1 != 0
	s.AvailabilityRead, s.AvailabilityWrite, s.AvailabilityDelete = &read, &write, &remove
	return nil
}

// settingBool reads a boolean that may be written as 0 or 1.
func settingBool(body object, key string) (bool, error) {
	switch string(body[key]) {
	case "0":
		return false, nil
	case "1":
		return true, nil
	default:
		return body.requiredBool(key)
	}
}

func setCoordinate(body object, key string, field **float64, unset *bool) error {
	raw, found := body[key]
	if !found {
		return nil
	}
	if *unset = !body.has(key); *unset {
		return nil
	}
	value, err := decodeField[float64](raw, key, "a number")
	*field = &value
	return err
}

func (s *Server) deleteRSE(c *gin.Context) {
	if _, ok := s.propose(c, command.TypeDeleteRSE, &command.DeleteRSE{Name: c.Param("rse")}); ok {
		s.empty(c)
	}
}

func (s *Server) listRSEAttributes(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		attributes := map[string]any{r.Name: true}
		for _, a := range r.Attributes {
			attributes[a.Key] = attributeValue(a.Value)
		}
		return attributes, nil
	})
}

func (s *Server) getRSEAttribute(c *gin.Context) {
	s.readJSON(c, func(v View) (any, error) {
		r, err := catalogue.GetRSE(v, c.Param("rse"))
		if err != nil {
			return nil, err
		}
		key := c.Param("key")
		value, found := r.Attribute(key)
		if !found {
			return nil, catalogue.Errorf(command.CodeRSEAttributeNotFound, "RSE attribute '%s' cannot be found", key)
		}
		return map[string]any{key: attributeValue(value)}, nil
	})
}

func (s *Server) setRSEAttribute(c *gin.Context) {
	body, ok := s.decodeObject(c)
	if !ok {
		return
	}
	value, err := attributeText(body)
	if err != nil {
		s.fail(c, err)
		return
	}
	set := &command.SetRSEAttribute{Rse: c.Param("rse"), Key: c.Param("key"), Value: value}
	if _, ok := s.propose(c, command.TypeSetRSEAttribute, set); ok {
		s.created(c)
	}
}

// attributeText reads the value of an attribute, a text, number or boolean, as a text.
func attributeText(body object) (string, error) {
	raw, err := body.required("value")
	if err != nil {
		return "", err
	}
	var value any
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return "", catalogue.Errorf(command.CodeInvalidObject, "'value' can not be read")
	}
	switch value := value.(type) {
	case string:
		return value, nil
	case bool:
		return strconv.FormatBool(value), nil
	case json.Number:
		return numberText(value.String()), nil
	default:
		return "", catalogue.Errorf(command.CodeInvalidObject, "'value' must be a string, a number or a boolean, not %s", abridge(raw))
	}
}

// numberText writes a number in full: an integer as it is, any other with a decimal point and without an exponent where that
// is not long.
func numberText(literal string) string {
	if !strings.ContainsAny(literal, ".eE") {
		return literal
	}
	n, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.Abs(n) >= 1e16 || n != 0 && math.Abs(n) < 1e-4 {
		return literal
	}
	text := strconv.FormatFloat(n, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func (s *Server) deleteRSEAttribute(c *gin.Context) {
	unset := &command.DeleteRSEAttribute{Rse: c.Param("rse"), Key: c.Param("key")}
	if _, ok := s.propose(c, command.TypeDeleteRSEAttribute, unset); ok {
		s.empty(c)
	}
}

package catalogue

import (
	"strconv"
	"strings"

	"dapple/command"
)

// RSE types.
const (
	RSETypeDisk = "DISK"
	RSETypeTape = "TAPE"
)

// setting returns the value of a property of an RSE that has the place of an attribute in expressions, and false where the key is
// no such property. Booleans are "true" and "false".
func setting(r *RSE, key string) (string, bool) {
	switch key {
	case "id":
		return r.UUIDString(), true
	case "rse":
		return r.Name, true
	case "vo":
		return "def", true
	case "rse_type":
		return r.Type, true
	case "qos_class":
		return r.QoSClass, true
	case "availability":
		return strconv.Itoa(r.Availability()), true
	case "longitude":
		return formatDegrees(r.Longitude), true
	case "latitude":
		return formatDegrees(r.Latitude), true
	}
	if field := r.place(key); field != nil {
		return *field, true
	}
	if field := r.flag(key); field != nil {
		return strconv.FormatBool(*field), true
	}
	return "", false
}

func formatDegrees(degrees *float64) string {
	if degrees == nil {
		return ""
	}
	return strconv.FormatFloat(*degrees, 'f', -1, 64)
}

// flag returns the field of a boolean property, nil where the key names none.
func (r *RSE) flag(key string) *bool {
	switch key {
	case "deterministic":
		return &r.Deterministic
	case "volatile":
		return &r.Volatile
	case "staging_area":
		return &r.Staging
	case "availability_read":
		return &r.AvailableRead
	case "availability_write":
		return &r.AvailableWrite
	case "availability_delete":
		return &r.AvailableDelete
	default:
		return nil
	}
}

// place returns the field of a property that says where an RSE is, nil where the key names none.
func (r *RSE) place(key string) *string {
	switch key {
	case "city":
		return &r.City
	case "region_code":
		return &r.RegionCode
	case "country_name":
		return &r.CountryName
	case "continent":
		return &r.Continent
	case "time_zone":
		return &r.TimeZone
	case "ISP":
		return &r.ISP
	case "ASN":
		return &r.ASN
	default:
		return nil
	}
}

// settingValue brings the value that an expression compares a property with into the form of setting, or returns CodeInvalidObject
// where no property can have it. Values of other keys are returned as they are.
func settingValue(key, value string) (string, error) {
	switch {
	case new(RSE).flag(key) != nil:
		switch strings.ToLower(value) {
		case "1", "true":
			return "true", nil
		case "0", "false":
			return "false", nil
		}
		return "", Errorf(command.CodeInvalidObject, "Invalid boolean value: %s", value)
	case key == "rse_type" && value != RSETypeDisk && value != RSETypeTape:
		return "", Errorf(command.CodeInvalidObject, "Invalid rse_type: %s", value)
	case key == "availability":
		if n, err := strconv.ParseUint(value, 10, 8); err != nil || n > 7 {
			return "", Errorf(command.CodeInvalidObject, "Invalid availability: %s", value)
		}
	case key == "id":
		return strings.ToLower(strings.ReplaceAll(value, "-", "")), nil
	}
	return value, nil
}

// NormalizeAttribute returns the value of an attribute as it is stored: "true" and "false", in any case, stand for booleans.
func NormalizeAttribute(value string) string {
	if lower := strings.ToLower(value); lower == "true" || lower == "false" {
		return lower
	}
	return value
}

package catalogue

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"dapple/command"
)

// MaxMetadataKey is the length of a metadata key in bytes.
const MaxMetadataKey = 255

// reservedMetadata are the keys that tell what a DID is; nobody sets them as metadata. In ascending order.
var reservedMetadata = [...]string{
	"account", "adler32", "availability", "bytes", "complete", "created_at", "deleted_at", "did_type", "expired_at", "is_open",
	"length", "md5", "monotonic", "name", "obsolete", "rule_evaluation_action", "rule_evaluation_required", "scope",
	"suppressed", "updated_at",
}

func isReserved(key string) bool {
	_, reserved := slices.BinarySearch(reservedMetadata[:], key)
	return reserved
}

// inherited returns the entries that a recursive change passes on to what is attached: those of fixed keys that say something of
// the whole.
func inherited(entries []MetadataEntry) []MetadataEntry {
	return slices.DeleteFunc(slices.Clone(entries), func(e MetadataEntry) bool {
		switch e.Key {
		case "eol_at", metaEvents, "guid", MetaExpiredAt:
			return true
		}
		return !IsFixedMetadata(e.Key)
	})
}

// metadataKind is the type of a fixed key.
type metadataKind byte

const (
	metaText metadataKind = iota
	metaInteger
	metaBoolean
	metaTime
	metaGUID
	metaLifetime // seconds from now, kept as expired_at
	metaRefused  // shown, never set by a client
)

// metadataField is a key whose type the API fixes.
type metadataField struct {
	key       string
	kind      metadataKind
	limit     int64 // of metaText the length in characters, of metaInteger the largest value before feature level 1
	filesOnly bool
}

// metadataFields are the keys that the API fixes. They and their types are part of what SetMetadata does: never change a row.
// From feature level 1 on the limits of integers do not hold: every integer has 64 bits.
var metadataFields = [...]metadataField{
	{key: "access_cnt", kind: metaInteger, limit: math.MaxInt32},
	{key: "accessed_at", kind: metaTime},
	{key: "campaign", kind: metaText, limit: 50},
	{key: "closed_at", kind: metaRefused},
	{key: "constituent", kind: metaRefused},
	{key: "created_after", kind: metaRefused},
	{key: "created_before", kind: metaRefused},
	{key: "datatype", kind: metaText, limit: 50},
	{key: "eol_at", kind: metaTime},
	{key: metaEvents, kind: metaInteger, limit: maxEvents, filesOnly: true},
	{key: "guid", kind: metaGUID, filesOnly: true},
	{key: "hidden", kind: metaBoolean},
	{key: "is_archive", kind: metaRefused},
	{key: "is_new", kind: metaBoolean},
	{key: "lifetime", kind: metaLifetime},
	{key: "lumiblocknr", kind: metaInteger, limit: math.MaxInt32},
	{key: "panda_id", kind: metaInteger, limit: math.MaxInt32},
	{key: "phys_group", kind: metaText, limit: 25},
	{key: "prod_step", kind: metaText, limit: 50},
	{key: "project", kind: metaText, limit: 50},
	{key: "provenance", kind: metaText, limit: 2},
	{key: "purge_replicas", kind: metaBoolean},
	{key: "run_number", kind: metaInteger, limit: math.MaxInt32},
	{key: "stream_name", kind: metaText, limit: 70},
	{key: "task_id", kind: metaInteger, limit: math.MaxInt32},
	{key: "transient", kind: metaBoolean},
	{key: "type", kind: metaRefused},
	{key: "version", kind: metaText, limit: 50},
}

// MetaExpiredAt is the key under which a lifetime is kept.
const MetaExpiredAt = "expired_at"

func findMetadataField(key string) (metadataField, bool) {
	for _, f := range metadataFields {
		if f.key == key {
			return f, true
		}
	}
	return metadataField{}, false
}

// IsFixedMetadata reports whether a key is one that the API fixes; all others are the clients' own.
func IsFixedMetadata(key string) bool {
	_, fixed := findMetadataField(key)
	return fixed || key == MetaExpiredAt
}

// convert turns what the client sent into what is stored. null takes the key away.
func (f metadataField) convert(v View, at Stamp, e *MetadataEntry) error {
	if f.kind == metaRefused {
		return Errorf(command.CodeInvalidMetadata, "the metadata key '%s' cannot be set", e.Key)
	}
	if e.Value == "null" {
		if f.kind == metaLifetime {
			e.Key = MetaExpiredAt
		}
		e.Value = ""
		return nil
	}
	stored, ok := f.stored(at, e.Value)
	if !ok && f.kind == metaInteger {
		var err error
		if stored, ok, err = f.storedWide(v, e.Value); err != nil {
			return err
		}
	}
	if !ok {
		return Errorf(command.CodeInvalidMetadata, "invalid value for metadata key '%s': %.80s", e.Key, e.Value)
	}
	if f.kind == metaLifetime {
		e.Key = MetaExpiredAt
	}
	e.Value = stored
	return nil
}

func (f metadataField) stored(at Stamp, value string) (string, bool) {
	text, isText := textOf(value)
	switch f.kind {
	case metaText:
		if !isText {
			text = value // a number is kept as its text, as a database column would
			if _, err := strconv.ParseFloat(value, 64); err != nil {
				return "", false
			}
		}
		return jsonText(text), utf8.RuneCountInString(text) <= int(f.limit)
	case metaInteger:
		if !isText {
			text = value
		}
		n, err := strconv.ParseInt(text, 10, 64)
		return strconv.FormatInt(n, 10), err == nil && n <= f.limit && n >= -f.limit-1
	case metaBoolean:
		switch value {
		case "true", "1":
			return "true", true
		case "false", "0":
			return "false", true
		}
		return "", false
	case metaTime:
		micros, ok := ParseTime(text)
		return strconv.FormatInt(micros, 10), isText && ok
	case metaGUID:
		guid := strings.ToLower(strings.ReplaceAll(strings.Trim(text, "{}"), "-", ""))
		return jsonText(guid), isText && parseHex(make([]byte, 16), guid)
	case metaLifetime:
		if !isText {
			text = value
		}
		expires, ok := expiry(at, text)
		return strconv.FormatInt(expires, 10), ok
	default:
		return "", false
	}
}

// textOf returns the text that a JSON value is, and false for a value of another kind. Plain texts and numbers, which most values
// are, are told without a decoder; null is the empty text, as to the decoder.
func textOf(value string) (text string, ok bool) {
	if value != "" && (value[0] == '-' || value[0] >= '0' && value[0] <= '9') {
		return "", false
	}
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' && isOwnJSON(value[1:n-1]) {
		return value[1 : n-1], true
	}
	ok = json.Unmarshal([]byte(value), &text) == nil
	return text, ok
}

// isOwnJSON reports whether a text is its own JSON but for the quotes, in ASCII.
func isOwnJSON(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// storedWide is stored for integers from feature level 1 on: all of 64 bits, and a whole number that is written as a fraction
// or with an exponent, as 5.0 and 5e9, which is the same number to the clients.
func (f metadataField) storedWide(v View, value string) (string, bool, error) {
	level, err := FeatureLevel(v)
	if err != nil || level < 1 {
		return "", false, err
	}
	if text, isText := textOf(value); isText {
		n, err := strconv.ParseInt(text, 10, 64)
		return strconv.FormatInt(n, 10), err == nil, nil
	}
	n, ok := wholeNumber(value)
	return strconv.FormatInt(n, 10), ok, nil
}

// expiry returns the time after a lifetime in seconds, as decimal text; at most a thousand years either way.
func expiry(at Stamp, seconds string) (int64, bool) {
	const limit = 1000 * 366 * 24 * 3600
	s, err := strconv.ParseFloat(seconds, 64)
	if err != nil || math.IsNaN(s) || math.Abs(s) > limit {
		return 0, false
	}
	// Rounding to whole seconds and microseconds apart keeps floating point out of what is stored.
	whole := math.Trunc(s)
	return at.Time + int64(whole)*1e6 + int64(math.Round((s-whole)*1e6)), true
}

// ParseTime reads a time as the API takes it in metadata and filters, in UTC, and returns microseconds since 1970.
func ParseTime(text string) (micros int64, ok bool) {
	for _, layout := range [...]string{
		time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05.999999Z", "2006-01-02T15:04:05.999999Z",
		"Mon, 02 Jan 2006 15:04:05 UTC",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMicro(), true
		}
	}
	return 0, false
}

// jsonText is the JSON of a text. It is written here so that it is the same in every version of the program.
func jsonText(text string) string {
	b := append(make([]byte, 0, len(text)+2), '"')
	for _, r := range text { // bytes that are no UTF-8 become U+FFFD
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return string(append(b, '"'))
}

package httpapi

import (
	"bytes"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendJSONString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := plainBytes(s); i < len(s); {
		if ch := s[i]; ch < utf8.RuneSelf {
			if ch >= ' ' && ch != '"' && ch != '\\' {
				i++
				continue
			}
			b = appendEscape(append(b, s[start:i]...), ch)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			// Line ends to some readers of JavaScript.
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

// plainBytes returns how many bytes at the beginning of s are surely printable ASCII that needs no escape. It looks at eight at a
// time: nearly all texts of the catalogue are plain as a whole.
func plainBytes(s string) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		// In each term the high bit of a byte is set where it is what the term looks for: not ASCII, below a space, a quote, a
		// backslash. A borrow sets more of them, but only above one that is set rightly.
		if (x|(x-ones*' ')|(x^(ones*'"')-ones)|(x^(ones*'\\')-ones))&highs != 0 {
			return i
		}
	}
	return i
}

func appendEscape(b []byte, ch byte) []byte {
	switch ch {
	case '"', '\\':
		return append(b, '\\', ch)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	default:
		return append(b, '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&0xf])
	}
}

// appendSpaced appends compact JSON with a space after each comma and colon, as Python's json.dumps writes it: scripts that compare
// or cut the text of answers expect those.
func appendSpaced(b, compact []byte) []byte {
	start := 0
	for i := 0; i < len(compact); i++ {
		switch compact[i] {
		case '"':
			i += quotedBytes(compact[i+1:])
		case ',', ':':
			b = append(append(b, compact[start:i+1]...), ' ')
			start = i + 1
		}
	}
	return append(b, compact[start:]...)
}

// quotedBytes returns where a text ends whose opening quote comes before it: how many bytes there are with the closing quote.
func quotedBytes(text []byte) int {
	for at := 0; ; {
		end := bytes.IndexByte(text[at:], '"')
		if end < 0 {
			return len(text)
		}
		slashes := at + end
		for slashes > at && text[slashes-1] == '\\' {
			slashes--
		}
		if at += end + 1; (at-1-slashes)%2 == 0 {
			return at
		}
	}
}

// appendJSONStringOrNull appends s as a JSON string, or null where it is empty.
func appendJSONStringOrNull(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendJSONString(b, s)
}

// timeLayout is how the API writes times, always in UTC.
const timeLayout = "Mon, 02 Jan 2006 15:04:05 UTC"

// appendTime appends a log time, microseconds since 1970, as the API writes it, without quotes.
func appendTime(b []byte, micros int64) []byte {
	return time.UnixMicro(micros).UTC().AppendFormat(b, timeLayout)
}

// appendJSONTime appends a log time as a JSON string, or null where it is 0.
func appendJSONTime(b []byte, micros int64) []byte {
	if micros == 0 {
		return append(b, "null"...)
	}
	return append(appendTime(append(b, '"'), micros), '"')
}

// formatTime returns a log time as the API writes it.
func formatTime(micros int64) string { return string(appendTime(nil, micros)) }

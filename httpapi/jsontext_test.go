package httpapi

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// encoded is what encoding/json makes of a string.
func encoded(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(s))
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func FuzzAppendJSONString(f *testing.F) {
	for _, s := range []string{
		"", "plain", `quote " and \`, "\x00\x01\x1f\x7f", "\b\f\n\r\t", "größe", "\u2028\u2029", "\xff", "a\xe2\x80", "\xed\xa0\x80",
		"\U0001F680", "<&>", "\ufffd", "end\xf0", "12345678", "1234567\"", "\\2345678", "123\x1f5678", "1234567\u00e91234567", "12345678!#[]~\x7f\"67890123",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, encoded(t, s), string(appendJSONString(nil, s)))
		require.Equal(t, "x"+encoded(t, s), string(appendJSONString([]byte("x"), s)), "what is there must stay")
	})
}

func TestTimes(t *testing.T) {
	const micros = 1_767_261_600_999_999 // 2026-01-01 10:00:00.999999 UTC
	require.Equal(t, "Thu, 01 Jan 2026 10:00:00 UTC", formatTime(micros))
	require.Equal(t, `"Thu, 01 Jan 2026 10:00:00 UTC"`, string(appendJSONTime(nil, micros)))
	require.Equal(t, "null", string(appendJSONTime(nil, 0)))
	require.Equal(t, "null", string(appendJSONStringOrNull(nil, "")))
	require.Equal(t, `"x"`, string(appendJSONStringOrNull(nil, "x")))
}

func TestAppendSpaced(t *testing.T) {
	for compact, want := range map[string]string{
		`{}`:                           `{}`,
		`{"a":1,"b":[1,2,{"c":null}]}`: `{"a": 1, "b": [1, 2, {"c": null}]}`,
		`{"a:b,c":"d,e:f"}`:            `{"a:b,c": "d,e:f"}`,
		`["\\\"",":,","\\\\",1]`:       `["\\\"", ":,", "\\\\", 1]`,
		`"\\`:                          `"\\`,
		``:                             ``,
	} {
		require.Equal(t, "before"+want, string(appendSpaced([]byte("before"), []byte(compact))), compact)
	}
}

func BenchmarkAppendSpaced(b *testing.B) {
	compact := []byte(`{"scope":"data24","name":"run000001/file.000001.root","bytes":123456789,"md5":null,"adler32":"0cc737eb","pfns":{` +
		`"davs://one.example:443/dav/rucio/data24/00/00/run000001/file.000001.root":{"rse_id":"0f2e3d4c5b6a79880f2e3d4c5b6a7988","rse":"SITE-ONE_DATADISK",` +
		`"type":"DISK","volatile":false,"domain":"wan","priority":1,"client_extract":false}},"states":{"SITE-ONE_DATADISK":"AVAILABLE"}}`)
	var out []byte
	for b.Loop() {
		out = appendSpaced(out[:0], compact)
	}
}

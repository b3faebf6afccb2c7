package httpapi

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoneSurrogates(t *testing.T) {
	for body, lone := range map[string]bool{
		``: false, `{"a": "plain"}`: false, `"\u00e9"`: false, `"\ud83d\ude00"`: false, `"\\ud800"`: false, `"\\\\ud800"`: false,
		`"\ud800"`: true, `"\uD800"`: true, `"\udc00"`: true, `"\ud800x"`: true, `"\ud800\ud800"`: true, `"\ud83d\ude00\udfff"`: true,
		`"\\\ud800"`: true, `"\ud800\n"`: true, `\`: false, `"\ud8`: false, `"\ud800`: true,
	} {
		require.Equal(t, lone, hasLoneSurrogate([]byte(body)), body)
	}
}

func TestTextsThatAreNoUnicode(t *testing.T) {
	ts := didServer(t)
	for _, name := range []string{`n\ud800`, `n\udfffx`, "n\xff"} {
		file := `{"scope": "s", "name": "` + name + `", "bytes": 5, "adler32": "0cc737eb"}`
		ts.do("POST", "/replicas", `{"rse": "ONE", "files": [`+file+`]}`).want(t, 400, "ValueError")
		ts.do("POST", "/dids/s/ds", `{"type": "DATASET", "meta": {"key": "`+name+`"}}`).want(t, 400, "ValueError")
		ts.do("POST", "/dids/bulkfiles", `{"dids": [{"scope": "s", "name": "`+name+`"}]}`).want(t, 400, "ValueError")
	}
	ts.do("GET", "/dids/s/n%ff", "").want(t, 400, "InvalidObject")
	ts.do("GET", "/dids/s/dids/search?name=n%ff", "").want(t, 400, "ValueError")
	ts.do("POST", "/dids/s/ds", `{"type": "DATASET", "meta": {"key": "\ud83d\ude00"}}`).want(t, 201, "")
}

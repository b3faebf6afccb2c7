package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestRSEs(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/rses/A", `{"deterministic":true}`, 201, "", "Created"},
		{"POST", "/rses/A", `{"deterministic":true}`, 409, "Duplicate", ""},
		{"POST", "/rses/B", ``, 201, "", ""},
		{"POST", "/rses/B2", `{"rse_type":"TAPE","availability":5,"city":"Geneva","longitude":6.05,"no_such":1}`, 201, "", ""},
		{"POST", "/rses/a%20b", `{}`, 400, "InvalidObject", ""},
		{"POST", "/rses/C", `{"deterministic":"yes"}`, 400, "InvalidObject", ""},
		{"POST", "/rses/C", `{"rse_type":"CLOUD"}`, 400, "InvalidObject", ""},
		{"POST", "/rses/C", `{"availability":8}`, 400, "InvalidObject", ""},
		{"POST", "/rses/C", `{"availability":7,"availability_read":true}`, 422, "InputValidationError", ""},
		{"POST", "/rses/C", `{"longitude":"east"}`, 400, "InvalidObject", ""},
		{"POST", "/rses/C", `{"latitude":91}`, 400, "InvalidObject", ""},
		{"POST", "/rses/C", `{"region_code":"long"}`, 400, "InvalidObject", ""},
		{"POST", "/rses/C", `{"deterministic"`, 400, "ValueError", ""},
		{"POST", "/rses/C", `[1]`, 400, "TypeError", ""},
		{"GET", "/rses/C", "", 404, "RSENotFound", ""},
		{"PUT", "/rses/A", `{"availability_write":false,"deterministic":true}`, 201, "", "Created"},
		{"PUT", "/rses/A", `{"nosuch":1}`, 400, "InputValidationError", ""},
		{"PUT", "/rses/A", `{"name":"B"}`, 409, "Duplicate", ""},
		{"PUT", "/rses/A", `{"name":"b"}`, 400, "InvalidObject", ""},
		{"PUT", "/rses/NONE", `{"volatile":true}`, 404, "RSENotFound", ""},
		{"GET", "/rses/?expression=A%7CB", "", 200, "", ""},
		{"GET", "/rses/?expression=((A", "", 400, "InvalidRSEExpression", ""},
		{"GET", "/rses/?expression=NONE", "", 400, "InvalidRSEExpression", ""},
		{"GET", "/rses/?expression=deterministic%3Dmaybe", "", 400, "InvalidObject", ""},
		{"GET", "/rses/?expression=city%3DGeneva", "", 200, "", `{"rse":"B2"}`},
		{"GET", "/rses/?expression=availability_write%3DFalse%26A", "", 200, "", `{"rse":"A"}`},
		{"GET", "/rses/NONE/usage", "", 404, "RSENotFound", ""},
		{"GET", "/rses/A/usage?source=srm", "", 200, "", ""},
	})
	a := ts.do("GET", "/rses/A", "").want(t, 200, "").value(t).(map[string]any)
	require.Len(t, a["id"], 32)
	require.EqualValues(t, 5, a["availability"])
	delete(a, "id")
	require.Equal(t, map[string]any{
		"availability_delete": true, "availability_read": true, "availability_write": false, "credentials": nil,
		"deterministic": true, "domain": []any{"lan", "wan"}, "lfn2pfn_algorithm": "hash", "protocols": []any{},
		"qos_class": nil, "rse": "A", "rse_type": "DISK", "sign_url": nil, "staging_area": false, "verify_checksum": true,
		"volatile": false, "availability": 5.0,
	}, a)
	list := ts.do("GET", "/rses/", "").want(t, 200, "").lines(t)
	require.Len(t, list, 3)
	require.Equal(t, "Geneva", list[2].(map[string]any)["city"])
	require.Equal(t, 6.05, list[2].(map[string]any)["longitude"])
	usage := ts.do("GET", "/rses/A/usage", "").want(t, 200, "").lines(t)[0].(map[string]any)
	require.EqualValues(t, 0, usage["files"])
	require.Equal(t, "Thu, 01 Jan 2026 10:00:00 UTC", usage["updated_at"])

	ts.play(t, "root", []step{
		{"PUT", "/rses/A", `{"name":"Z","rse_type":"TAPE"}`, 201, "", ""},
		{"GET", "/rses/A", "", 404, "RSENotFound", ""},
		{"GET", "/rses/Z/attr/", "", 200, "", `{"Z":true}`},
		{"GET", "/rses/?expression=Z", "", 200, "", `{"rse":"Z"}`},
		{"DELETE", "/rses/Z", "", 200, "", ""},
		{"DELETE", "/rses/Z", "", 404, "RSENotFound", ""},
		{"GET", "/rses/Z", "", 404, "RSENotFound", ""},
		{"POST", "/rses/Z", ``, 201, "", ""},
	})
}

func TestRSEAttributes(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	ts.play(t, "root", []step{
		{"POST", "/rses/A", ``, 201, "", ""},
		{"GET", "/rses/A/attr/", "", 200, "", `{"A":true}`},
		{"POST", "/rses/A/attr/tier", `{"value":"2"}`, 201, "", "Created"},
		{"POST", "/rses/A/attr/tier", `{"value":3}`, 201, "", "Created"},
		{"POST", "/rses/A/attr/load", `{"value":0.50}`, 201, "", ""},
		{"POST", "/rses/A/attr/tape", `{"value":"TRUE"}`, 201, "", ""},
		{"POST", "/rses/A/attr/open", `{"value":false}`, 201, "", ""},
		{"POST", "/rses/A/attr/x", `{"value":null}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/attr/x", `{"value":{}}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/attr/x", `{}`, 400, "KeyError", ""},
		{"POST", "/rses/A/attr/x", `{"value":"` + strings.Repeat("v", 256) + `"}`, 400, "InvalidObject", ""},
		{"POST", "/rses/NONE/attr/x", `{"value":"2"}`, 404, "RSENotFound", ""},
		{"GET", "/rses/A/attr/", "", 200, "", `{"A":true,"tier":"3","load":"0.5","tape":true,"open":false}`},
		{"GET", "/rses/A/attr/tier", "", 200, "", `{"tier":"3"}`},
		{"GET", "/rses/?expression=tier%3E2%26tape", "", 200, "", `{"rse":"A"}`},
		{"DELETE", "/rses/A/attr/tier", "", 200, "", ""},
		{"DELETE", "/rses/A/attr/tier", "", 404, "RSEAttributeNotFound", ""},
		{"DELETE", "/rses/NONE/attr/tier", "", 404, "RSENotFound", ""},
		{"POST", "/rses/A/attr/lfn2pfn_algorithm", `{"value":"identity"}`, 201, "", ""},
		{"POST", "/rses/A/attr/verify_checksum", `{"value":"False"}`, 201, "", ""},
	})
	a := ts.do("GET", "/rses/A", "").value(t).(map[string]any)
	require.Equal(t, "identity", a["lfn2pfn_algorithm"])
	require.Equal(t, false, a["verify_checksum"])
}

const davs = `{"scheme":"ignored","hostname":"dav","port":443,"prefix":"/dav/rucio","impl":"rucio.rse.protocols.gfal.Default",
	"domains":{"lan":{"read":1,"write":1,"delete":1},"wan":{"read":1,"write":1,"delete":1,"third_party_copy_read":1,"third_party_copy_write":1}}}`

func TestProtocols(t *testing.T) {
	ts := newTestServer(t, registryExecutors)
	const xroot = `{"hostname":"xrd","port":1094,"prefix":"//eos/rucio","impl":"rucio.rse.protocols.xrootd.Default",
		"domains":{"lan":{"read":2,"write":null},"wan":{"read":2,"write":2}}}`
	ts.play(t, "root", []step{
		{"POST", "/rses/A", ``, 201, "", ""},
		{"GET", "/rses/A/protocols", "", 404, "RSEProtocolNotSupported", ""},
		{"POST", "/rses/A/protocols/davs", davs, 201, "", "Created"},
		{"POST", "/rses/A/protocols/davs", davs, 409, "Duplicate", ""},
		{"POST", "/rses/A/protocols/root", xroot, 201, "", ""},
		{"POST", "/rses/NONE/protocols/davs", davs, 404, "RSENotFound", ""},
		{"POST", "/rses/A/protocols/file", `{"hostname":"x"}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/protocols/srm", davs, 400, "InvalidObject", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":"i","port":"x"}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":"i","port":65536}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":"i","domains":{"man":{"read":1}}}`, 404, "RSEProtocolDomainNotSupported", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":"i","domains":{"lan":{"eat":1}}}`, 400, "ValueError", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":"i","domains":{"lan":{"read":-1}}}`, 409, "RSEProtocolPriorityError", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":"i","domains":{"lan":{"read":"1"}}}`, 409, "RSEProtocolPriorityError", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":"i","domains":[]}`, 400, "InvalidObject", ""},
		{"POST", "/rses/A/protocols/file", `{"impl":`, 400, "ValueError", ""},
		{
			"GET", "/rses/A/lfns2pfns?lfn=user.cf:file1&lfn=user.cf:dir/file2", "", 200, "",
			`{"user.cf:dir/file2":"davs://dav:443/dav/rucio/user/cf/60/b8/dir/file2","user.cf:file1":"davs://dav:443/dav/rucio/user/cf/d9/72/file1"}`,
		},
		{
			"GET", "/rses/A/lfns2pfns?lfn=user.cf:file1&scheme=root&domain=lan&operation=read", "", 200, "",
			`{"user.cf:file1":"root://xrd:1094//eos/rucio/user/cf/d9/72/file1"}`,
		},
		{"GET", "/rses/A/lfns2pfns?lfn=user.cf:file1&scheme=root&domain=lan", "", 404, "RSEProtocolNotSupported", ""},
		{"GET", "/rses/A/lfns2pfns?lfn=user.cf:file1&scheme=srm", "", 404, "RSEProtocolNotSupported", ""},
		{"GET", "/rses/A/lfns2pfns?lfn=nocolon", "", 400, "InvalidPath", ""},
		{"GET", "/rses/A/lfns2pfns?lfn=a:b&operation=eat", "", 400, "ValueError", ""},
		{"GET", "/rses/A/lfns2pfns?lfn=a:b&domain=man", "", 404, "RSEProtocolDomainNotSupported", ""},
		{"GET", "/rses/A/lfns2pfns", "", 404, "ReplicaNotFound", ""},
		{"PUT", "/rses/A/protocols/root/xrd/1094", `{"prefix":"/new","extended_attributes":{"a": 1},"domains":{"wan":{"read":9}}}`, 200, "", ""},
		{"PUT", "/rses/A/protocols/root/xrd/1095", `{"prefix":"/new"}`, 404, "RSEProtocolNotSupported", ""},
		{"PUT", "/rses/A/protocols/root", `{"prefix":"/new"}`, 404, "RSEProtocolNotSupported", ""},
		{"PUT", "/rses/A/protocols/root/xrd/x", `{"prefix":"/new"}`, 400, "ValueError", ""},
		{"PUT", "/rses/A/protocols/root/xrd/1094", `{"scheme":"davs","hostname":"dav","port":443}`, 409, "Duplicate", ""},
		{"PUT", "/rses/A/protocols/root/xrd/1094", `{"impl":""}`, 400, "InvalidObject", ""},
	})
	protocols := ts.do("GET", "/rses/A/protocols", "").want(t, 200, "").value(t).([]any)
	require.Equal(t, map[string]any{
		"scheme": "root", "hostname": "xrd", "port": 1094.0, "prefix": "/new", "impl": "rucio.rse.protocols.xrootd.Default",
		"extended_attributes": map[string]any{"a": 1.0},
		"domains": map[string]any{
			"lan": map[string]any{"read": 2.0, "write": nil, "delete": nil},
			"wan": map[string]any{"read": 9.0, "write": 2.0, "delete": nil, "third_party_copy_read": nil, "third_party_copy_write": nil},
		},
	}, protocols[1])
	all := ts.do("GET", "/rses/A/protocols/srm", "").want(t, 200, "").value(t).(map[string]any)
	require.Len(t, all["protocols"], 2)
	require.NotContains(t, all, "availability")
	ts.play(t, "root", []step{
		{"DELETE", "/rses/A/protocols/root/other", "", 404, "RSEProtocolNotSupported", ""},
		{"DELETE", "/rses/A/protocols/root/xrd", "", 200, "", ""},
		{"DELETE", "/rses/A/protocols/root", "", 404, "RSEProtocolNotSupported", ""},
		{"DELETE", "/rses/NONE/protocols/root", "", 404, "RSENotFound", ""},
		{"DELETE", "/rses/A/protocols/davs", "", 200, "", ""},
	})
}

func TestOversizedWriteIsRefusedWhole(t *testing.T) {
	ts := newTestServer(t, executors{command.TypeAddRSE: registryExecutors[command.TypeAddRSE]}, func(c *Config) { c.Limits.Body = 100 })
	ts.do("POST", "/rses/A", `{"city":"`+strings.Repeat("x", 200)+`"}`).want(t, 413, "InvalidRequest")
	ts.do("GET", "/rses/A", "").want(t, 404, "RSENotFound")
}

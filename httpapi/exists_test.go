package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExists(t *testing.T) {
	ts := newReplicaServer(t)
	ts.do("POST", "/replicas", `{"rse":"ONE","files":[{"scope":"s","name":"copying","bytes":1,"state":"C"}]}`).want(t, 201, "")
	lines := func(body string) []string {
		return strings.Split(strings.TrimSuffix(ts.do("POST", "/replicas/exists", body).want(t, 200, "").Body.String(), "\n"), "\n")
	}
	require.Equal(t, []string{
		`{"scope":"s","name":"copying","exists":true,"type":"FILE","rses":[]}`,
		`{"scope":"s","name":"no","exists":false}`,
		`{"scope":"nosuch","name":"a","exists":false}`,
		`{"scope":"s","name":"a","exists":true,"type":"FILE","rses":["ONE","TWO"]}`,
	}, lines(`{"dids":[{"scope":"s","name":"copying"},{"scope":"s","name":"no"},{"scope":"nosuch","name":"a"},{"scope":"s","name":"a"}]}`))
	require.Equal(t, []string{`{"scope":"s","name":"a","exists":true,"type":"FILE","rses":["TWO"]}`},
		lines(`{"dids":[{"scope":"s","name":"a"}],"rse_expression":"TWO"}`))
	require.Equal(t, []string{""}, lines(`{"dids":[]}`))
	ts.do("POST", "/replicas/exists", `{"dids":[{"scope":"s","name":"a"}],"rse_expression":"NO"}`).want(t, 400, "InvalidRSEExpression")
	ts.do("POST", "/replicas/exists", `{}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/exists", `{"dids":[{"scope":"s"}]}`).want(t, 400, "KeyError")
	ts.do("POST", "/replicas/exists", `{"dids":7}`).want(t, 400, "InvalidObject")
}

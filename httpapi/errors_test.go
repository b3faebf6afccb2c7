package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
	"dapple/command"
)

// declaredCodes reads the numbers of all codes out of the source, so that a new one cannot be forgotten.
func declaredCodes(t *testing.T) map[string]command.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../command/code.go", nil, 0)
	require.NoError(t, err)
	codes := map[string]command.Code{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		require.True(t, ok, "code %s is no plain number", spec.Names[0])
		number, err := strconv.Atoi(literal.Value)
		require.NoError(t, err)
		codes[spec.Names[0].Name] = command.Code(number)
		return true
	})
	require.Greater(t, len(codes), 60)
	return codes
}

func TestEveryCodeHasOneRow(t *testing.T) {
	rows := map[command.Code]int{}
	for _, row := range errorRows {
		rows[row.code]++
		require.GreaterOrEqual(t, row.status, 400, row.code)
		require.Equal(t, row.class == "", row.code == command.CodeNoRoute || row.code == command.CodeMethodNotAllowed, row.code)
		require.False(t, row.retry && row.status != 503, row.code)
		require.False(t, row.hidden && row.status != 500, row.code)
	}
	for name, code := range declaredCodes(t) {
		want := 1
		if code == command.CodeOK {
			want = 0
		}
		require.Equal(t, want, rows[code], name)
	}
	for _, x := range errorExceptions {
		require.Equal(t, 1, rows[x.code])
		require.True(t, x.top != "" || x.method != "")
	}
}

// otherLayer is an error as package node hands it over.
type otherLayer struct{ code command.Code }

func (e otherLayer) Error() string      { return "no leader of secret-host:9000" }
func (e otherLayer) Code() command.Code { return e.code }

// failing answers a request below a path with an error.
func failing(t *testing.T, method, path string, err error) answer {
	t.Helper()
	ts := newTestServer(t, nil)
	resolver, buildErr := newResolver([]route{{method, path, func(c *gin.Context) { ts.fail(c, err) }, public}})
	require.NoError(t, buildErr)
	ts.resolver = resolver
	return ts.do(method, path, "")
}

func TestAnswersToErrors(t *testing.T) {
	refusal := func(code command.Code) error {
		return fmt.Errorf("file 3: %w", catalogue.Errorf(code, "no such thing"))
	}
	tests := []struct {
		method, path string
		err          error
		status       int
		class        string
	}{
		{"GET", "/dids/x", refusal(command.CodeDIDNotFound), 404, "DataIdentifierNotFound"},
		{"POST", "/dids/x", refusal(command.CodeUnsupportedOperation), 409, "UnsupportedOperation"},
		{"POST", "/replicas/x", refusal(command.CodeUnsupportedOperation), 500, "UnsupportedOperation"},
		{"PUT", "/replicas/x", refusal(command.CodeStateForbidden), 500, "UnsupportedOperation"},
		{"POST", "/replicas/x", refusal(command.CodeFileMismatch), 409, "DataIdentifierAlreadyExists"},
		{"GET", "/replicas/x", refusal(command.CodeUnsupportedSort), 404, "SortingAlgorithmNotSupported"},
		{"POST", "/replicas/x", refusal(command.CodeUnsupportedSort), 400, "SortingAlgorithmNotSupported"},
		{"POST", "/replicas/x", refusal(command.CodeTooLarge), 413, "InvalidRequest"},
		{"POST", "/replicas/x", refusal(command.CodeMissingKey), 400, "KeyError"},
		{"POST", "/replicas/x", refusal(command.CodeRSEBlocked), 503, "ResourceTemporaryUnavailable"},
		{"POST", "/replicas/x", otherLayer{command.CodeNoLeader}, 503, "ResourceTemporaryUnavailable"},
		{"POST", "/replicas/x", fmt.Errorf("propose: %w", otherLayer{command.CodeUnknownOutcome}), 504, "ServiceUnavailable"},
		{"POST", "/replicas/x", errors.New("disk of secret-host on fire"), 500, "RucioException"},
		{"POST", "/replicas/x", refusal(command.Code(65000)), 500, "RucioException"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s %s", tt.method, tt.path, tt.class), func(t *testing.T) {
			got := failing(t, tt.method, tt.path, tt.err).want(t, tt.status, tt.class)
			require.Equal(t, "application/octet-stream", got.Header().Get("Content-Type"))
			var body struct{ ExceptionClass, ExceptionMessage string }
			require.NoError(t, json.Unmarshal(got.Body.Bytes(), &body))
			require.Equal(t, tt.class, body.ExceptionClass)
			require.Equal(t, got.Header().Get("ExceptionMessage"), body.ExceptionMessage)
		})
	}
}

func TestInternalErrorsAreLoggedAndNotSent(t *testing.T) {
	ts := newTestServer(t, nil)
	ts.store.fault = errors.New("disk of secret-host on fire")
	got := ts.do("GET", "/cluster/digest", "").want(t, 500, "RucioException")
	require.NotContains(t, got.Body.String()+got.Header().Get("ExceptionMessage"), "secret-host")
	require.Contains(t, ts.logs.String(), "secret-host")
}

func TestRetryAfter(t *testing.T) {
	for code, want := range map[command.Code]string{
		command.CodeNoLeader: "1", command.CodeQueueFull: "1", command.CodeOverloaded: "1", command.CodeDeadline: "1",
		command.CodeRSEBlocked: "", command.CodeUnknownOutcome: "", command.CodeDIDNotFound: "",
	} {
		got := failing(t, "POST", "/replicas/x", otherLayer{code})
		require.Equal(t, want, got.Header().Get("Retry-After"), code)
	}
}

func TestUnknownOutcomeSaysSo(t *testing.T) {
	got := failing(t, "POST", "/replicas/x", otherLayer{command.CodeUnknownOutcome}).want(t, 504, "ServiceUnavailable")
	require.Contains(t, got.Body.String(), "may or may not")
}

// A message is made of what clients send: it must neither break the header nor fill it.
func TestMessagesInHeaders(t *testing.T) {
	for name, tt := range map[string]struct{ message, want string }{
		"lines":    {"a\r\nSet-Cookie: x=1\n\tb", "a  Set-Cookie: x=1  b"},
		"controls": {"a\x00\x07\x1b[31mb", "a[31mb"},
		"letters":  {"größe", "gr??e"},
		"broken":   {"a\xffb", "ab"},
		"long":     {strings.Repeat("x", 5000), strings.Repeat("x", headerLimit) + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			got := failing(t, "GET", "/dids/x", catalogue.Errorf(command.CodeInvalidObject, "%s", tt.message))
			require.Equal(t, tt.want, got.Header().Get("ExceptionMessage"))
			require.Empty(t, got.Header().Get("Set-Cookie"))
			var body struct{ ExceptionMessage string }
			require.NoError(t, json.Unmarshal(got.Body.Bytes(), &body))
			require.Equal(t, strings.ToValidUTF8(tt.message, "\uFFFD"), body.ExceptionMessage)
		})
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	ts := newTestServer(t, nil)
	for _, path := range []string{"/", "/nowhere", "/ping/x", "//ping", "/pin", "/auth", "/openapi"} {
		got := ts.do("GET", path, "").want(t, 404, "")
		require.Equal(t, "text/html; charset=utf-8", got.Header().Get("Content-Type"), path)
	}
	got := ts.do("PATCH", "/ping", "").want(t, 405, "")
	require.Equal(t, "GET", got.Header().Get("Allow"))
	require.Equal(t, "text/html; charset=utf-8", got.Header().Get("Content-Type"))
	ts.do("PROPFIND", "/ping", "").want(t, 405, "")

	// OPTIONS * has no path at all.
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest("OPTIONS", "/", nil)
	request.URL.Path, request.RequestURI = "*", "*"
	ts.Handler().ServeHTTP(recorder, request)
	require.Equal(t, http.StatusNotFound, recorder.Code)
}

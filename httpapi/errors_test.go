package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
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
		require.NotEmpty(t, row.class, row.code)
		require.False(t, row.retry && row.status != 503 && row.status != 507, row.code)
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
		{"POST", "/replicas/x", refusal(command.CodeDiskLow), 507, "ResourceTemporaryUnavailable"},
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
			require.Equal(t, got.raw("ExceptionMessage"), body.ExceptionMessage)
		})
	}
}

func TestInternalErrorsAreLoggedAndNotSent(t *testing.T) {
	ts := newTestServer(t, nil)
	ts.store.fault = errors.New("disk of secret-host on fire")
	got := ts.do("GET", "/cluster/digest", "").want(t, 500, "RucioException")
	require.NotContains(t, got.Body.String()+got.raw("ExceptionMessage"), "secret-host")
	require.Contains(t, ts.logs.String(), "secret-host")
}

func TestRetryAfter(t *testing.T) {
	for code, want := range map[command.Code]string{
		command.CodeNoLeader: "1", command.CodeQueueFull: "1", command.CodeOverloaded: "1", command.CodeDeadline: "1",
		command.CodeDiskLow: "30", command.CodeRSEBlocked: "", command.CodeUnknownOutcome: "", command.CodeDIDNotFound: "",
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
			require.Equal(t, tt.want, got.raw("ExceptionMessage"))
			require.Empty(t, got.Header().Get("Set-Cookie"))
			var body struct{ ExceptionMessage string }
			require.NoError(t, json.Unmarshal(got.Body.Bytes(), &body))
			require.Equal(t, strings.ToValidUTF8(tt.message, "\uFFFD"), body.ExceptionMessage)
		})
	}
}

// Every error is Rucio's JSON, whoever asks for what, and spells its headers as Rucio does.
func TestUnknownPathsAndMethods(t *testing.T) {
	ts := newTestServer(t, nil)
	check := func(got answer, class string) {
		t.Helper()
		require.Equal(t, typeBytes, got.Header().Get("Content-Type"))
		body := got.value(t).(map[string]any)
		require.Equal(t, class, body["ExceptionClass"])
		require.Equal(t, got.raw("ExceptionMessage"), body["ExceptionMessage"])
		require.NotEmpty(t, body["ExceptionMessage"])
		require.Len(t, body, 2)
	}
	for _, path := range []string{"/nowhere", "/ping/x", "//ping", "/pin", "/auth", "/auth/nothing", "/openapi", "/archives/s"} {
		got := ts.do("GET", path, "", func(r *http.Request) { r.Header.Del(headerToken) })
		check(got.want(t, 404, "NotFound"), "NotFound")
	}
	for request, allow := range map[string]string{
		"PATCH /ping": "GET", "PROPFIND /ping": "GET", "PATCH /replicas": "DELETE, POST, PUT", "DELETE /dids/s/n": "GET, POST",
		"PUT /auth/userpass": "GET, OPTIONS", "POST /dids/s/n/files": "GET", "PUT /dids/s/n/dids/history": "GET", "DELETE /replicas/s/n": "GET",
		"OPTIONS /replicas": "DELETE, POST, PUT", "PUT /scopes": "GET", "POST /archives/s/n/files": "GET",
	} {
		method, path, _ := strings.Cut(request, " ")
		got := ts.do(method, path, "").want(t, 405, "UnsupportedOperation")
		require.Equal(t, allow, got.Header().Get("Allow"), request)
		check(got, "UnsupportedOperation")
	}

	// OPTIONS * has no path at all.
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest("OPTIONS", "/", nil)
	request.URL.Path, request.RequestURI = "*", "*"
	ts.Handler().ServeHTTP(recorder, request)
	check(answer{recorder}.want(t, 404, "NotFound"), "NotFound")
}

// A client over a connection sees the names as they are spelled in the map of headers.
func TestHeadersAreSpelledAsRucioSpellsThem(t *testing.T) {
	ts := newAuthServer(t)
	address := strings.TrimPrefix(ts.serve(), "http://")
	ask := func(request string) string {
		t.Helper()
		connection, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer connection.Close()
		_, err = io.WriteString(connection, request+"\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		text, err := io.ReadAll(connection)
		require.NoError(t, err)
		return string(text)
	}
	for _, request := range []string{"GET /nowhere HTTP/1.1", "PATCH /ping HTTP/1.1", "GET /dids/s/n HTTP/1.1", "GET /rules HTTP/1.1"} {
		text := ask(request)
		require.Contains(t, text, "\r\nExceptionClass: ", request)
		require.Contains(t, text, "\r\nExceptionMessage: ", request)
	}
	login := "GET /auth/userpass HTTP/1.1\r\nX-Rucio-Username: ddmlab\r\nX-Rucio-Password: secret"
	text := ask(login + "\r\nX-Rucio-Account: root")
	for _, name := range []string{"X-Rucio-Auth-Token", "X-Rucio-Auth-Token-Expires", "X-Rucio-Auth-Account"} {
		require.Contains(t, text, "\r\n"+name+": ")
	}
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "joe", Type: "USERPASS", Identity: "two", PasswordHash: hashOfSecret()})
	ts.command(command.TypeAddIdentity, &command.AddIdentity{Account: "root", Type: "USERPASS", Identity: "two"})
	require.Contains(t, ask(strings.Replace(login, "ddmlab", "two", 1)), "\r\nX-Rucio-Auth-Accounts: joe,root\r\n")
}

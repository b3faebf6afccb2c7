package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// errorRow says how a code is answered: the status, and the class from which clients make their exception.
type errorRow struct {
	code   command.Code
	status int
	class  string
	// retry asks the client to come again: Retry-After.
	retry bool
	// hidden texts are logged and not sent.
	hidden bool
}

// pause returns the seconds of Retry-After. An overload is over soon; a full disk waits for an operator.
func (r errorRow) pause() string {
	if r.status == http.StatusInsufficientStorage {
		return "30"
	}
	return "1"
}

const (
	classBusy   = "ResourceTemporaryUnavailable"
	classTooBig = "InvalidRequest"
	// classInternal is what clients make of any class that they do not know.
	classInternal    = "RucioException"
	classUnsupported = "UnsupportedOperation"
)

// errorRows is the one place where codes get their meaning in HTTP. It is never written to; a test sees to it that every code
// has one row.
var errorRows = [...]errorRow{
	{code: command.CodeInternal, status: 500, class: classInternal, hidden: true},
	{code: command.CodeUnknownOutcome, status: 504, class: "ServiceUnavailable"},
	{code: command.CodeNotLeader, status: 503, class: classBusy, retry: true},
	{code: command.CodeNoLeader, status: 503, class: classBusy, retry: true},
	{code: command.CodeQueueFull, status: 503, class: classBusy, retry: true},
	{code: command.CodeTooLarge, status: 413, class: classTooBig},
	{code: command.CodeSessionUnknown, status: 503, class: classBusy, retry: true},
	{code: command.CodeStaleSequence, status: 500, class: classInternal, hidden: true},
	{code: command.CodeFailed, status: 500, class: classInternal, hidden: true},
	{code: command.CodeNotReady, status: 503, class: classBusy, retry: true},
	{code: command.CodeDeadline, status: 503, class: classBusy, retry: true},
	{code: command.CodeOtherCluster, status: 500, class: classInternal, hidden: true},
	{code: command.CodeUnknownMethod, status: 500, class: classInternal, hidden: true},
	{code: command.CodeDuplicateGenesis, status: 409, class: "Duplicate"},
	{code: command.CodeKeyReused, status: 422, class: "InputValidationError"},
	{code: command.CodeDiskLow, status: http.StatusInsufficientStorage, class: classBusy, retry: true},

	{code: command.CodeInvalidJSON, status: 400, class: "ValueError"},
	{code: command.CodeInvalidBody, status: 400, class: "TypeError"},
	{code: command.CodeMissingKey, status: 400, class: "KeyError"},
	{code: command.CodeInvalidObject, status: 400, class: "InvalidObject"},
	{code: command.CodeInvalidValue, status: 400, class: "ValueError"},
	{code: command.CodeInvalidType, status: 400, class: "InvalidType"},
	{code: command.CodeInvalidPath, status: 400, class: "InvalidPath"},
	{code: command.CodeInvalidDate, status: 400, class: "ValueError"},
	{code: command.CodeNotAcceptable, status: 406, class: "UnsupportedRequestedContentType"},
	{code: command.CodeNoRoute, status: 404, class: "NotFound"},
	{code: command.CodeMethodNotAllowed, status: 405, class: classUnsupported},
	{code: command.CodeNotServed, status: 404, class: classUnsupported},
	{code: command.CodeBodyTooLarge, status: 413, class: classTooBig},
	{code: command.CodeTooManyItems, status: 413, class: classTooBig},
	{code: command.CodeOverloaded, status: 503, class: classBusy, retry: true},
	{code: command.CodeUnsupportedSort, status: 400, class: "SortingAlgorithmNotSupported"},
	{code: command.CodeInputValidation, status: 400, class: "InputValidationError"},
	{code: command.CodeUnparsablePath, status: 400, class: "ValueError"},

	{code: command.CodeAccessDenied, status: 401, class: "AccessDenied"},
	{code: command.CodeCannotAuthenticate, status: 401, class: "CannotAuthenticate"},
	{code: command.CodeAccountNotFound, status: 404, class: "AccountNotFound"},
	{code: command.CodeAccountExists, status: 409, class: "Duplicate"},
	{code: command.CodeInvalidAccountType, status: 400, class: "InvalidAccountType"},
	{code: command.CodeAccountAttributeNotFound, status: 404, class: "AccountNotFound"},
	{code: command.CodeAccountAttributeExists, status: 409, class: "Duplicate"},
	{code: command.CodeIdentityExists, status: 409, class: "Duplicate"},
	{code: command.CodeIdentityNotFound, status: 404, class: "IdentityError"},
	{code: command.CodeScopeNotFound, status: 404, class: "ScopeNotFound"},
	{code: command.CodeScopeExists, status: 409, class: "Duplicate"},
	{code: command.CodeInvalidIdentity, status: 400, class: "IdentityError"},

	{code: command.CodeRSENotFound, status: 404, class: "RSENotFound"},
	{code: command.CodeRSEExists, status: 409, class: "Duplicate"},
	{code: command.CodeRSEAttributeNotFound, status: 404, class: "RSEAttributeNotFound"},
	{code: command.CodeProtocolExists, status: 409, class: "Duplicate"},
	{code: command.CodeProtocolNotSupported, status: 404, class: "RSEProtocolNotSupported"},
	{code: command.CodeInvalidRSEExpression, status: 400, class: "InvalidRSEExpression"},
	{code: command.CodeRSEBlocked, status: 503, class: classBusy},
	{code: command.CodeRSENotEmpty, status: 404, class: "RSEOperationNotSupported"},
	{code: command.CodeProtocolDomainInvalid, status: 404, class: "RSEProtocolDomainNotSupported"},
	{code: command.CodeProtocolPriorityInvalid, status: 409, class: "RSEProtocolPriorityError"},
	{code: command.CodeDistanceExists, status: 409, class: "Duplicate"},

	{code: command.CodeDIDNotFound, status: 404, class: "DataIdentifierNotFound"},
	{code: command.CodeDIDExists, status: 409, class: "DataIdentifierAlreadyExists"},
	{code: command.CodeAlreadyAttached, status: 409, class: "FileAlreadyExists"},
	{code: command.CodeUnsupportedOperation, status: 409, class: classUnsupported},
	{code: command.CodeUnsupportedStatus, status: 409, class: "UnsupportedStatus"},
	{code: command.CodeInvalidMetadata, status: 400, class: "InvalidMetadata"},
	{code: command.CodeKeyNotFound, status: 404, class: "KeyNotFound"},
	{code: command.CodeDuplicateContent, status: 409, class: "DuplicateContent"},
	{code: command.CodeInvalidFilter, status: 400, class: "DIDFilterSyntaxError"},
	{code: command.CodeUnknownPlugin, status: 400, class: "UnsupportedMetadataPlugin"},

	{code: command.CodeReplicaNotFound, status: 404, class: "ReplicaNotFound"},
	{code: command.CodeReplicaExists, status: 409, class: "Duplicate"},
	{code: command.CodeFileMismatch, status: 409, class: "FileConsistencyMismatch"},
	{code: command.CodeReplicaLocked, status: 409, class: "ReplicaIsLocked"},
	{code: command.CodeStateForbidden, status: 409, class: classUnsupported},
	{code: command.CodeVersionMismatch, status: 412, class: "PreconditionFailed"},
	{code: command.CodeAmbiguousPFN, status: 409, class: "RucioException"},

	{code: command.CodeChangesGone, status: 410, class: "ChangesGone"},
	{code: command.CodeChangesNotKept, status: 409, class: classUnsupported},
}

// errorExceptions are the codes whose answer hangs on where it is given: below a first segment of the path, or to a method;
// "" is any. An empty class leaves the code's own.
var errorExceptions = [...]struct {
	code   command.Code
	top    string
	method string
	status int
	class  string
}{
	{code: command.CodeUnsupportedOperation, top: "replicas", status: 500},
	{code: command.CodeStateForbidden, top: "replicas", status: 500},
	{code: command.CodeFileMismatch, top: "dids", status: 412},
	{code: command.CodeFileMismatch, top: "replicas", status: 409, class: "DataIdentifierAlreadyExists"},
	{code: command.CodeUnsupportedSort, method: http.MethodGet, status: 404},
	{code: command.CodeInputValidation, top: "rses", method: http.MethodPost, status: 422},
}

// coded is an error of another layer that knows its code.
type coded interface {
	error
	Code() command.Code
}

// detailed is an error whose answer has more fields than class and message.
type detailed interface {
	error
	// appendFields appends the fields to the body, each after a comma.
	appendFields(b []byte) []byte
}

// codeOf finds the code of an error, CodeInternal where it has none.
func codeOf(err error) command.Code {
	var c coded
	var refusal *catalogue.Error
	switch {
	case errors.As(err, &c):
		return c.Code()
	case errors.As(err, &refusal):
		return refusal.Code
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return command.CodeDeadline
	default:
		return command.CodeInternal
	}
}

// answerOf returns how a code is answered to a request.
func answerOf(c *gin.Context, code command.Code) errorRow {
	row := rowOf(code)
	for _, x := range errorExceptions {
		if x.code != code || (x.top != "" && x.top != topOf(c)) || (x.method != "" && x.method != c.Request.Method) {
			continue
		}
		row.status = x.status
		if x.class != "" {
			row.class = x.class
		}
	}
	return row
}

// rowOf returns the row of a code, that of CodeInternal for a code without one.
func rowOf(code command.Code) errorRow {
	for _, row := range errorRows {
		if row.code == code {
			return row
		}
	}
	return rowOf(command.CodeInternal)
}

// fail answers the request with an error and ends its handling. Every error answer is written here. Refusals are
// *catalogue.Error, made by catalogue.Errorf; errors of other layers carry their own code; any other error is internal: it
// is logged, and the client learns no more than that. What an overload refuses is held first.
func (s *Server) fail(c *gin.Context, err error) {
	row, message := answerOf(c, codeOf(err)), err.Error()
	if row.code == command.CodeQueueFull {
		s.hold(c)
	}
	if choice := (*undecided)(nil); errors.As(err, &choice) && s.offerAccounts(c, choice) {
		return
	}
	switch {
	case row.hidden:
		s.log.Error("request failed", "method", c.Request.Method, "route", routeOf(c), "error", message)
		message = "internal error; the node's log has more"
	case row.code == command.CodeUnknownOutcome:
		message = unknownOutcome(c, withoutAddresses(message))
	case row.status == http.StatusServiceUnavailable:
		s.log.Debug("request refused", "method", c.Request.Method, "route", routeOf(c), "error", message)
		message = withoutAddresses(message)
	}
	if over := (*limitError)(nil); errors.As(err, &over) {
		s.metrics.refusals.WithLabelValues(string(over.limit)).Inc()
		c.Header("Retry-After", over.retryAfter())
	}
	if row.retry && c.Writer.Header().Get("Retry-After") == "" {
		c.Header("Retry-After", row.pause())
	}
	s.metrics.failed(c, row)
	c.Abort()
	message = strings.ToValidUTF8(message, "\uFFFD")
	// Set would write Exceptionclass, which clients that compare the name as it is do not find.
	header := c.Writer.Header()
	header[headerClass], header[headerMessage] = []string{row.class}, []string{headerText(message)}
	body := append([]byte(`{"ExceptionClass": `), appendJSONString(nil, row.class)...)
	body = append(body, `, "ExceptionMessage": `...)
	body = appendJSONString(body, message)
	var more detailed
	if errors.As(err, &more) {
		body = more.appendFields(body)
	}
	body = append(body, '}')
	s.write(c, row.status, typeBytes, body)
}

// hold lets a request wait that an overload refuses, so that its client comes again later. Its body is let go before. A quarter of the
// connections may wait so: the others must find one.
func (s *Server) hold(c *gin.Context) {
	s.releaseBody(c)
	defer s.held.Add(-1)
	if s.held.Add(1) > int64(s.limits.Connections/4) {
		return
	}
	pause := time.NewTimer(s.limits.Refusal/2 + rand.N(s.limits.Refusal))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-c.Request.Context().Done():
	}
}

// The headers of an error in Rucio's spelling, which is not the canonical one of net/http: they are written to the map of headers
// and not by Set.
const (
	headerClass   = "ExceptionClass"
	headerMessage = "ExceptionMessage"
)

// headerLimit bounds the message in a header, in bytes.
const headerLimit = 256

// headerText makes a message fit for a header: one line of visible characters, not too long.
func headerText(message string) string {
	var b strings.Builder
	for _, r := range message {
		if b.Len() >= headerLimit {
			b.WriteString("...")
			break
		}
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case r > 0x20 && r < 0x7f:
			b.WriteRune(r)
		case r >= 0x7f && r != utf8.RuneError && unicode.IsPrint(r):
			// Headers are read as Latin-1 by some clients; the body has the message as it is.
			b.WriteByte('?')
		}
	}
	return strings.TrimSpace(b.String())
}

package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// addedAnswer is what became of one item of a registration: the status that it would have been answered with alone.
type addedAnswer struct {
	Scope  string `json:"scope"`
	Name   string `json:"name"`
	Status int    `json:"status"`
	// PathKept is set on a replica that exists and keeps another path than the one that was named.
	PathKept bool   `json:"path_kept,omitempty"`
	Class    string `json:"ExceptionClass,omitempty"`
	Message  string `json:"ExceptionMessage,omitempty"`
}

// addReporting registers what it can of the files and answers with what became of each, in their order: 201 where all are
// registered, otherwise 207.
func (s *Server) addReporting(c *gin.Context, add *command.AddReplicas) {
	files := add.Files
	result, ok := s.propose(c, command.TypeAddReplicasReporting, &command.AddReplicasReporting{
		Rse: add.Rse, Files: files, IgnoreAvailability: add.IgnoreAvailability,
	})
	if !ok {
		return
	}
	var report command.AddReport
	if err := proto.Unmarshal(result.Payload, &report); err != nil {
		s.fail(c, err)
		return
	}
	answers := make([]addedAnswer, len(files))
	for i, f := range files {
		answers[i] = addedAnswer{Scope: f.Scope, Name: f.Name, Status: http.StatusCreated}
	}
	for _, item := range report.PathKept {
		answers[item].PathKept = true
	}
	status := http.StatusCreated
	for _, refusal := range report.Refused {
		status = http.StatusMultiStatus
		row := answerOf(c, command.Code(refusal.Code))
		a := &answers[refusal.Item]
		a.Status, a.Class, a.Message = row.status, row.class, refusal.Message
	}
	s.json(c, status, answers)
}

package httpapi

import (
	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// replicaRoutes are the rows of replicas.
func (s *Server) replicaRoutes() []route {
	return []route{
		{method: post, path: "/replicas", handler: s.addReplicas},
		{method: put, path: "/replicas", handler: s.updateReplicaStates},
		{method: remove, path: "/replicas", handler: s.deleteReplicas},
		{method: post, path: "/replicas/list", handler: s.listReplicas, access: reading},
		{method: post, path: "/replicas/exists", handler: s.checkExistence, access: reading},
		{method: post, path: "/replicas/dids", handler: s.didsOfPFNs, access: reading},
		{method: post, path: "/replicas/getdidsfromreplicas", handler: s.didsOfPFNs, access: reading},
		{method: post, path: "/replicas/bad", handler: s.declareBad},
		{method: post, path: "/replicas/badreplicas", handler: s.declareBad},
		{method: get, path: "/replicas/bad/states", handler: s.listBad},
		{method: get, path: "/replicas/bad/summary", handler: s.summarizeBad},
		{method: post, path: "/replicas/bad/pfns", handler: s.declareBadPFNs},
		{method: post, path: "/replicas/bad/dids", handler: s.declareBadDIDs},
		{method: post, path: "/replicas/suspicious", handler: s.declareSuspicious},
		{method: get, path: "/replicas/suspicious", handler: s.listSuspicious},
		{method: post, path: "/replicas/tombstone", handler: s.setTombstones},
		{method: post, path: "/replicas/quarantine", handler: s.quarantine},
		{method: post, path: "/replicas/datasets_bulk", handler: s.listManyDatasetReplicas, access: reading},
		{method: get, path: "/replicas/rse/:rse", handler: s.listDatasetsAtRSE},
		{method: get, path: "/replicas/:scope", handler: s.unnamedDID},
		{method: get, path: "/replicas/:scope/*name", handler: s.getReplicas},
		{method: get, path: "/replicas/:scope/*name/datasets", handler: s.listDatasetReplicas},
		{method: get, path: "/replicas/:scope/*name/datasets_vp", handler: s.listDatasetReplicas},
	}
}

// unnamedDID answers a path that has a scope and no name.
func (s *Server) unnamedDID(c *gin.Context) {
	s.fail(c, catalogue.Errorf(command.CodeUnparsablePath, "Could not parse '/%s' into scope and name.", c.Param("scope")))
}

// addReplicas registers replicas of files at an RSE, all or none; with ?on_error=report those that can be.
func (s *Server) addReplicas(c *gin.Context) {
	mode := c.DefaultQuery("on_error", "fail")
	if mode != "fail" && mode != "report" {
		s.fail(c, catalogue.Errorf(command.CodeInvalidValue, "'on_error' is fail or report, not '%.64s'", mode))
		return
	}
	message := &command.AddReplicas{}
	ok := s.decodeFiles(c, &message.Rse, &message.IgnoreAvailability, func(files []byte) (err error) {
		message.Files, err = decodeNewFiles(files, s.limits.Items)
		return err
	})
	if !ok {
		return
	}
	if mode == "report" {
		s.addReporting(c, message)
		return
	}
	if _, ok := s.propose(c, command.TypeAddReplicas, message); ok {
		s.created(c)
	}
}

// updateReplicaStates changes the states of replicas at an RSE, with if_version only of those that have the version.
func (s *Server) updateReplicaStates(c *gin.Context) {
	message := &command.UpdateReplicaStates{}
	var versions []uint64
	ok := s.decodeFiles(c, &message.Rse, nil, func(files []byte) (err error) {
		message.Files, versions, err = decodeChanges(files, s.limits.Items)
		return err
	})
	if !ok {
		return
	}
	if versions != nil {
		conditional := &command.UpdateReplicaStatesIf{Update: message, Versions: versions}
		if _, ok := s.propose(c, command.TypeUpdateReplicaStatesIf, conditional); ok {
			s.empty(c)
		}
		return
	}
	if _, ok := s.propose(c, command.TypeUpdateReplicaStates, message); ok {
		s.empty(c)
	}
}

// deleteReplicas deletes replicas at an RSE, with if_version only those that have the version.
func (s *Server) deleteReplicas(c *gin.Context) {
	message := &command.DeleteReplicas{}
	var versions []uint64
	ok := s.decodeFiles(c, &message.Rse, &message.IgnoreAvailability, func(files []byte) (err error) {
		message.Files, versions, err = decodeDeletions(files, s.limits.Items)
		return err
	})
	if !ok {
		return
	}
	if versions != nil {
		conditional := &command.DeleteReplicasIf{Deletion: message, Versions: versions}
		if _, ok := s.propose(c, command.TypeDeleteReplicasIf, conditional); ok {
			s.empty(c)
		}
		return
	}
	if _, ok := s.propose(c, command.TypeDeleteReplicas, message); ok {
		s.empty(c)
	}
}

// decodeFiles reads a body of an RSE and files. Where it is refused the error is answered and ok is false. ignore is nil where
// the request has no such field.
func (s *Server) decodeFiles(c *gin.Context, rse *string, ignore *bool, files func(raw []byte) error) (ok bool) {
	fields, ok := s.decodeScanned(c)
	if !ok {
		return false
	}
	var err error
	if *rse, err = fields.requiredString("rse"); err == nil {
		var raw []byte
		if raw, err = fields.required("files"); err == nil {
			err = files(raw)
		}
	}
	if err == nil && ignore != nil {
		*ignore, err = fields.flexibleBool("ignore_availability", false)
	}
	if err != nil {
		s.fail(c, err)
		return false
	}
	return true
}

// didsOfPFNs tells which files lie at PFNs.
func (s *Server) didsOfPFNs(c *gin.Context) {
	if _, ok := s.negotiate(c, typeLines); !ok {
		return
	}
	fields, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	rse, pfns, err := "", []string(nil), error(nil)
	if _, err = fields.required("rse"); err == nil {
		rse, err = fields.optionalString("rse")
	}
	if err == nil {
		if raw, found := fields["pfns"]; found {
			pfns, err = decodeStrings(raw, "pfns", s.limits.Items)
		}
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.streamLines(c, func(v View, st *stream) error {
		return catalogue.DIDsOfPFNs(v, rse, pfns, func(pfn, scope, name string) error {
			b := appendJSONString(append(st.open(), '{'), pfn)
			b = appendJSONString(append(b, `: {"scope": `...), scope)
			b = appendJSONString(append(b, `, "name": `...), name)
			return st.line(append(b, "}}"...))
		})
	})
}

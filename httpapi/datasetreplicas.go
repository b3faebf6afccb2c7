package httpapi

import (
	"strconv"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// listDatasetReplicas tells how much of a dataset is available at which RSE. It always looks at the files; deep looks into archives
// too.
func (s *Server) listDatasetReplicas(c *gin.Context) {
	scope, name := didParam(c)
	deep, err := deepQuery(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendDatasetReplicas(c, func(v View, send func(*catalogue.DatasetReplica) error) error {
		return catalogue.ListDatasetReplicas(v, scope, name, deep, send)
	})
}

// deepQuery reads the parameter deep, a boolean in any of the usual spellings.
func deepQuery(c *gin.Context) (bool, error) {
	const key = "deep"
	switch text := catalogue.NormalizeAttribute(c.Query(key)); text {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	default:
		return false, catalogue.Errorf(command.CodeInvalidValue, "'%s' must be a boolean, true or false, not '%.64s'", key, text)
	}
}

// listManyDatasetReplicas is listDatasetReplicas for many datasets; one that is named twice is listed once.
func (s *Server) listManyDatasetReplicas(c *gin.Context) {
	fields, ok := s.decodeScanned(c)
	if !ok {
		return
	}
	var names []catalogue.DIDName
	raw, err := fields.required("dids")
	if err == nil {
		names, err = decodeDIDNames(raw, s.limits.Items)
	}
	if err == nil && len(names) == 0 {
		err = catalogue.Errorf(command.CodeInvalidValue, "List of DIDs is empty")
	}
	if err != nil {
		s.fail(c, err)
		return
	}
	s.sendDatasetReplicas(c, func(v View, send func(*catalogue.DatasetReplica) error) error {
		for _, n := range eachOnce(names) {
			if err := catalogue.ListDatasetReplicas(v, n.Scope, n.Name, false, send); err != nil {
				return err
			}
		}
		return nil
	})
}

// listDatasetsAtRSE lists the datasets of which files are available at an RSE.
func (s *Server) listDatasetsAtRSE(c *gin.Context) {
	rse := c.Param("rse")
	s.sendDatasetReplicas(c, func(v View, send func(*catalogue.DatasetReplica) error) error {
		return catalogue.ListDatasetsAtRSE(v, rse, send)
	})
}

func (s *Server) sendDatasetReplicas(c *gin.Context, query func(v View, send func(*catalogue.DatasetReplica) error) error) {
	if _, ok := s.negotiate(c, typeLines); !ok {
		return
	}
	pageByItem(c) // a dataset's files are counted first
	s.streamLines(c, func(v View, st *stream) error {
		return query(v, func(r *catalogue.DatasetReplica) error {
			return st.item([]byte(r.Scope+":"+r.Name+" "+r.RSE.Name), append(appendDatasetReplica(st.open(), r), '\n'))
		})
	})
}

func appendDatasetReplica(b []byte, r *catalogue.DatasetReplica) []byte {
	b = appendReplicaName(b, r.Scope, r.Name, r.RSE)
	b = strconv.AppendUint(append(b, `, "available_bytes": `...), r.AvailableBytes, 10)
	b = strconv.AppendUint(append(b, `, "available_length": `...), r.AvailableLength, 10)
	b = appendJSONTime(append(b, `, "created_at": `...), r.Created)
	b = appendJSONTime(append(b, `, "updated_at": `...), r.Updated)
	b = append(b, `, "accessed_at": null`...)
	b = strconv.AppendUint(append(b, `, "length": `...), r.Length, 10)
	b = strconv.AppendUint(append(b, `, "bytes": `...), r.Bytes, 10)
	state := "UNAVAILABLE"
	if r.Complete() {
		state = "AVAILABLE"
	}
	return append(appendJSONString(append(b, `, "state": `...), state), '}')
}

package httpapi

import (
	"strconv"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
)

// readRows answers a GET with a stream of lines that query writes itself: for lists that may be very long.
func (s *Server) readRows(c *gin.Context, query func(v View, st *stream) error) {
	if _, ok := s.negotiate(c, typeLines); ok {
		s.streamLines(c, query)
	}
}

// appendDIDName appends the fields scope and name, their keys with a prefix.
func appendDIDName(b []byte, prefix, scope, name string) []byte {
	b = append(append(append(b, '"'), prefix...), `scope": `...)
	b = appendJSONString(b, scope)
	b = append(append(append(b, `, "`...), prefix...), `name": `...)
	return appendJSONString(b, name)
}

// appendFileSums appends size and checksums of a file, nulls for a collection.
func appendFileSums(b []byte, d *catalogue.DID) []byte {
	if d.Type != catalogue.TypeFile {
		return append(b, `, "bytes": null, "adler32": null, "md5": null`...)
	}
	b = appendUint(append(b, `, "bytes": `...), d.Bytes)
	b = appendJSONStringOrNull(append(b, `, "adler32": `...), d.Adler32)
	return appendJSONStringOrNull(append(b, `, "md5": `...), d.MD5)
}

func appendUint(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }

// appendRaw appends JSON, or null where there is none.
func appendRaw(b []byte, raw string) []byte {
	if raw == "" {
		raw = "null"
	}
	return append(b, raw...)
}

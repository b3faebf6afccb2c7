package httpapi

import (
	"strconv"
	"strings"

	"dapple/catalogue"
)

// The frame of a metalink document (RFC 5854).
const (
	metalinkHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">\n"
	metalinkTail = "</metalink>\n"
)

// metalinkEncoder writes files with their replicas as elements of a metalink document.
type metalinkEncoder struct {
	// brief leaves out the domain and who extracts.
	brief bool
	glfn  string
	limit int
}

// appendFile appends the element of a file.
func (e *metalinkEncoder) appendFile(b []byte, f *catalogue.ListedFile) []byte {
	b = appendXML(append(b, ` <file name="`...), f.Name)
	b = append(b, "\">\n"...)
	if len(f.Parents) > 0 {
		b = append(b, "  <parents>\n"...)
		for _, parent := range f.Parents {
			b = appendXML(append(b, "   <did>"...), parent.String())
			b = append(b, "</did>\n"...)
		}
		b = append(b, "  </parents>\n"...)
	}
	b = appendXML(append(b, "  <identity>"...), f.Scope)
	b = appendXML(append(b, ':'), f.Name)
	b = append(b, "</identity>\n"...)
	b = appendHash(b, "adler32", f.Adler32)
	b = appendHash(b, "md5", f.MD5)
	b = strconv.AppendUint(append(b, "  <size>"...), f.Bytes, 10)
	b = append(append(b, "</size>\n  <glfn name=\"/"...), e.glfn...)
	b = appendXML(append(b, "/rucio/"...), f.Scope)
	b = appendXML(append(b, ':'), f.Name)
	b = append(b, "\"></glfn>\n"...)
	pfns := shown(f.PFNs, e.limit)
	for i := range pfns {
		b = e.appendURL(b, &pfns[i], i+1)
	}
	return append(b, " </file>\n"...)
}

func appendHash(b []byte, kind, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(b, `  <hash type="`...), kind...)
	b = appendXML(append(b, `">`...), value)
	return append(b, "</hash>\n"...)
}

func (e *metalinkEncoder) appendURL(b []byte, p *catalogue.ListedPFN, priority int) []byte {
	b = appendXML(append(b, `  <url location="`...), p.RSE.Name)
	if !e.brief {
		b = append(append(b, `" domain="`...), p.Domain...)
	}
	b = strconv.AppendInt(append(b, `" priority="`...), int64(priority), 10)
	if !e.brief {
		b = strconv.AppendBool(append(b, `" client_extract="`...), p.ClientExtract)
	}
	b = appendXML(append(b, `">`...), p.PFN)
	return append(b, "</url>\n"...)
}

// appendXML appends text for an element or an attribute. What XML cannot hold is left out.
func appendXML(b []byte, text string) []byte {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == '&' || r == '<' || r == '>' || r == '"' || r >= 0xfffd }) {
		return append(b, text...)
	}
	for _, r := range text {
		switch {
		case r == '&':
			b = append(b, "&amp;"...)
		case r == '<':
			b = append(b, "&lt;"...)
		case r == '>':
			b = append(b, "&gt;"...)
		case r == '"':
			b = append(b, "&quot;"...)
		case r >= ' ' && r != 0xfffe && r != 0xffff || r == '\t' || r == '\n':
			b = append(b, string(r)...)
		}
	}
	return b
}

package httpapi

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

func TestBestOffer(t *testing.T) {
	offers := []string{typeLines, typeMetalink}
	for accept, want := range map[string]string{
		"":                                   typeLines,
		" , ":                                typeLines,
		"*/*":                                typeLines,
		"application/*":                      typeLines,
		"application/metalink4+xml":          typeMetalink,
		"Application/Metalink4+XML":          typeMetalink,
		"text/html":                          "",
		"text/html, */*;q=0.1":               typeLines,
		"application/x-json-stream;q=0, */*": typeMetalink,
		"application/x-json-stream;q=0.2, application/metalink4+xml;q=0.3": typeMetalink,
		"*/*;q=0.9, application/metalink4+xml":                             typeMetalink,
		"application/*;q=0.5, application/x-json-stream;q=0.4":             typeMetalink,
		"application/metalink4+xml; charset=utf-8 ; q=1":                   typeMetalink,
		"*/*;q=0":                    "",
		"*/*;q=2":                    "",
		"*/*;q=NaN":                  "",
		"*/*;q=":                     "",
		"nonsense":                   "",
		"nonsense, */*":              typeLines,
		"application/json":           "",
		"application/metalink4+xml,": typeMetalink,
	} {
		require.Equal(t, want, bestOffer(accept, offers), "Accept: %s", accept)
	}
}

func TestNegotiate(t *testing.T) {
	ts := newTestServer(t, nil)
	var err error
	ts.resolver, err = newResolver([]route{{get, "/x", func(c *gin.Context) {
		if chosen, ok := ts.negotiate(c, typeLines, typeMetalink); ok {
			ts.write(c, 200, chosen, nil)
		}
	}, public}})
	require.NoError(t, err)

	got := ts.do("GET", "/x", "", func(r *http.Request) {
		r.Header.Add("Accept", "text/html")
		r.Header.Add("Accept", typeMetalink)
	}).want(t, 200, "")
	require.Equal(t, typeMetalink, got.Header().Get("Content-Type"))
	require.Equal(t, "Accept", got.Header().Get("Vary"))

	got = ts.do("GET", "/x", "", header("Accept", "text/html")).want(t, 406, "UnsupportedRequestedContentType")
	require.Equal(t, "Accept", got.Header().Get("Vary"))
}

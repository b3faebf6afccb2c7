package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

func TestBestEncoding(t *testing.T) {
	for accept, want := range map[string]string{
		"": "", "identity": "", "br": "", "gzip": "gzip", "zstd": "zstd", "gzip, deflate, br, zstd": "zstd", "gzip;q=1, zstd;q=0.5": "gzip",
		"GZIP ; Q=0.5": "gzip", "gzip;q=0": "", "*": "zstd", "*;q=0.5, zstd;q=0": "gzip", "gzip;q=0.5, identity": "",
		"gzip;q=x": "", "gzip;q=2": "", "identity;q=0.5, gzip": "gzip", "gzip,": "gzip",
	} {
		require.Equal(t, want, bestEncoding(accept), accept)
	}
}

// decoded reads a body in its encoding.
func decoded(t *testing.T, encoding string, body io.Reader) io.Reader {
	t.Helper()
	switch encoding {
	case "gzip":
		r, err := gzip.NewReader(body)
		require.NoError(t, err)
		return r
	case "zstd":
		r, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		require.NoError(t, err)
		t.Cleanup(r.Close)
		return r
	default:
		require.Empty(t, encoding)
		return body
	}
}

func TestCompressedStream(t *testing.T) {
	for _, lines := range []int{1, 1000, 50_000} {
		ts, _ := streamServer(t, lines, nil, Limits{})
		url := ts.serve()
		for range 2 { // the second time with writers that were used before
			for _, encoding := range []string{"gzip", "zstd"} {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/x", nil)
				require.NoError(t, err)
				request.Header.Set("Accept-Encoding", encoding)
				answer, err := http.DefaultTransport.RoundTrip(request)
				require.NoError(t, err)
				want := encoding
				if lines == 1 {
					want = "" // too short
				} else {
					require.Contains(t, answer.Header.Values("Vary"), "Accept-Encoding")
				}
				require.Equal(t, want, answer.Header.Get("Content-Encoding"))
				n := 0
				for scanner := bufio.NewScanner(decoded(t, want, answer.Body)); scanner.Scan(); n++ {
					require.Equal(t, fmt.Sprintf(`{"number":%d}`, n), scanner.Text())
				}
				require.NoError(t, answer.Body.Close())
				require.Equal(t, lines, n)
			}
		}
	}
}

// A compressed list that breaks off must not look like a whole one either.
func TestCompressedStreamThatFails(t *testing.T) {
	ts, _ := streamServer(t, 50_000, errors.New("disk gone"), Limits{})
	url := ts.serve()
	for _, encoding := range []string{"gzip", "zstd"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/x", nil)
		require.NoError(t, err)
		request.Header.Set("Accept-Encoding", encoding)
		answer, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		_, err = io.ReadAll(decoded(t, encoding, answer.Body))
		require.Error(t, err)
		require.NoError(t, answer.Body.Close())
	}
	require.EqualValues(t, 2, brokenStreams(t, ts, "server"))
}

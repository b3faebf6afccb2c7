package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/httpload"
)

// sent is a request that a peer got.
type sent struct {
	uri, text string
	body      any
}

// drive sends three requests of one client to a server that answers with a text, and returns them.
func drive(t *testing.T, answer string, check func([]byte) error, generate func(int) httpload.Generator) (got []sent, result httpload.Result) {
	t.Helper()
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		s := sent{uri: r.RequestURI, text: string(text)}
		if err == nil {
			err = json.Unmarshal(text, &s.body)
		}
		if err != nil {
			t.Errorf("%s: %v", r.RequestURI, err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, s)
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	w := workload{clients: 1}
	result, err := httpload.Run(t.Context(), httpload.Load{Duration: time.Minute, Requests: 3}, w.users([]string{server.URL}, check, generate))
	require.NoError(t, err)
	require.Len(t, got, 3)
	return got, result
}

func TestEtcdRequests(t *testing.T) {
	name := `"key":"bWMyNl8xNFRlVi4wYmFkY2FmZS5BT0QubWVyZ2UuMDAwMD` // of base64, up to the series
	for _, c := range []struct {
		uri, answer string
		generate    func(int) httpload.Generator
		items, keys int
	}{
		{etcdPut, `{}`, etcdPutting, 1, 1},
		{etcdTxn, `{"succeeded":true}`, etcdPuttingMany, etcdBulk, etcdBulk},
		{etcdRange, `{"kvs":[`, etcdGetting, 1, 1},
		{etcdRange, `{"kvs":[`, etcdListing, known, 1},
	} {
		got, result := drive(t, c.answer, nil, c.generate)
		require.EqualValues(t, 3*c.items, result.Items)
		for _, s := range got {
			require.Equal(t, c.uri, s.uri)
			require.Equal(t, c.keys, strings.Count(s.text, name), s.text)
		}
	}
}

func TestRqliteRequests(t *testing.T) {
	for _, c := range []struct {
		uri         string
		generate    func(int) httpload.Generator
		items, rows int
	}{
		{rqliteExecute, rqliteInserting, 1, 1},
		{rqliteExecute, rqliteInsertingMany, bulkItems, bulkItems},
		{rqliteQuery, rqliteGetting, 1, 1},
		{rqliteQuery, rqliteListing, known, 0},
	} {
		got, result := drive(t, `{"results":[{}]}`, withoutError, c.generate)
		require.EqualValues(t, 3*c.items, result.Items)
		for _, s := range got {
			require.Equal(t, c.uri, s.uri)
			require.Equal(t, c.rows, strings.Count(s.text, "mc26_14TeV."), s.text)
		}
	}
	_, result := drive(t, `{"results":[{"error":"UNIQUE constraint failed"}]}`, withoutError, rqliteInserting)
	require.Equal(t, map[string]int64{"wrong answer": 3}, result.Errors)
}

// No name is written twice, and reads ask for names that are there.
func TestNames(t *testing.T) {
	got, _ := drive(t, `{}`, nil, rqliteInsertingMany)
	names := map[string]bool{}
	for _, s := range got {
		for _, part := range strings.Split(s.text, "'") {
			if strings.HasPrefix(part, "mc26_14TeV.") {
				require.InDelta(t, 60, len(part), 6)
				names[part] = true
			}
		}
	}
	require.Len(t, names, 3*bulkItems)
	got, _ = drive(t, `{}`, nil, rqliteGetting)
	seed := string(appendInsert(nil, seeded, 0, known))
	for _, s := range got {
		name := s.text[strings.Index(s.text, "mc26_14TeV."):strings.LastIndex(s.text, `"`)]
		require.Contains(t, seed, "'"+name+"'")
	}
}

// What runs at half of the rate does not write over what found it.
func TestHalfOfTheRate(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var series []int
	result, err := workload{clients: 2, half: true}.run(t.Context(), []string{server.URL}, 100*time.Millisecond, nil, func(client int) httpload.Generator {
		series = append(series, client)
		return partsWriting(1)(client)
	})
	require.NoError(t, err)
	require.NotZero(t, result.Requests)
	require.Equal(t, []int{0, 1, 2, 3}, series)
}

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/gin-gonic/gin"
	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// What a client of the parts writes is what it reads.
func TestParts(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	db, err := pebble.Open("state", &pebble.Options{FS: vfs.NewMem(), DisableWAL: true, Logger: noLogger{}})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	n := &partsNode{db: db, queue: make(chan partsWrite, 1)}
	engine := gin.New()
	engine.POST("/files", n.write)
	engine.GET("/files/:scope/:name", n.read)
	applied := make(chan any, 1)
	go func() {
		w := <-n.queue
		answer := partsMachine{db}.Apply(&raft.Log{Type: raft.LogCommand, Data: w.data})
		applied <- answer
		w.done <- nil
	}()
	do := func(method, path string, body []byte) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		engine.ServeHTTP(recorder, httptest.NewRequest(method, path, bytes.NewReader(body)))
		return recorder
	}
	require.Equal(t, http.StatusCreated, do("POST", "/files", appendFiles(nil, seeded, 0, 3)).Code)
	require.Nil(t, <-applied)
	for i := range 3 {
		got := do("GET", "/files/bench/"+string(appendName(nil, seeded, i)), nil)
		require.Equal(t, http.StatusOK, got.Code)
		require.Contains(t, got.Body.String(), `"md5":"d41d8cd98f00b204e9800998ecf8427e"`)
	}
	require.Equal(t, http.StatusNotFound, do("GET", "/files/bench/none", nil).Code)
	require.Equal(t, http.StatusBadRequest, do("POST", "/files", []byte("[")).Code)
}

package node_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// TestOldChangesGo keeps next to nothing of the feed: on every node what came first is soon gone, and what comes is still there.
func TestOldChangesGo(t *testing.T) {
	cluster := testcluster.Start(t, 3, func(cfg *node.Config) {
		cfg.ChangesTrimInterval, cfg.ChangesMaxBytes = 20*time.Millisecond, 200
	})
	c := &client{t: t, base: cluster.URLs()[0]}
	response, _ := c.do(http.MethodGet, "/auth/userpass", nil, map[string]string{
		"X-Rucio-Account": "root", "X-Rucio-Username": testcluster.User, "X-Rucio-Password": testcluster.Password,
	})
	c.token = response.Header.Get("X-Rucio-Auth-Token")
	for _, scope := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"} {
		c.must(http.MethodPost, "/accounts/root/scopes/"+scope, nil)
	}
	for _, url := range cluster.URLs() {
		at := &client{t: t, base: url, token: c.token}
		require.Eventually(t, func() bool {
			response, text := at.do(http.MethodGet, "/changes?since=0&follow=false", nil, nil)
			return response.StatusCode == http.StatusGone && strings.Contains(text, `"oldest":`)
		}, time.Minute, 20*time.Millisecond, url)
	}
	last := c.must(http.MethodGet, "/changes?follow=false", nil)
	require.Contains(t, last, "heartbeat")
}

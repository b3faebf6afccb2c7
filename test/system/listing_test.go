package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// listingMemory is how much more resident memory a server may take while it lists.
const listingMemory = 64 << 20

// TestListingMemory lists a dataset of 100,000 files with two replicas each and one of 1,000 files at 81 RSEs, in both formats,
// and looks at what that costs the server. It is started anew before it lists, so that nothing hides in memory that the
// registrations had taken.
func TestListingMemory(t *testing.T) {
	const (
		manyFiles = 100_000
		manyRSEs  = 81
	)
	c := newCluster(t, 1)
	c.start()
	p := c.nodes[0]
	root := login(t, p)
	root.http.Timeout = time.Minute
	root.prepare(t, "big", "SITE1")
	for i := 2; i <= manyRSEs; i++ {
		root.addRSE(t, fmt.Sprintf("SITE%d", i), fmt.Sprintf("site%d.example", i))
	}
	root.registerDataset(t, "big", "many-files", manyFiles, 2)
	root.registerDataset(t, "big", "many-replicas", 1000, manyRSEs)
	p.terminate()
	p.start()
	c.waitReady(p)

	root = login(t, p)
	before := resetPeakMemory(t, p)
	for _, dataset := range []struct {
		name            string
		files, replicas int
	}{{"many-files", manyFiles, 2}, {"many-replicas", 1000, manyRSEs}} {
		for _, format := range []struct{ accept, file, url string }{
			{"application/x-json-stream", `{"scope": `, `"rse_id": `},
			{"application/metalink4+xml", ` <file name=`, `  <url location=`},
		} {
			resetPeakMemory(t, p)
			files, urls := root.countListed(t, "big", dataset.name, format.accept, format.file, format.url)
			require.Equal(t, dataset.files, files, "%s as %s", dataset.name, format.accept)
			require.Equal(t, dataset.files*dataset.replicas, urls, "%s as %s", dataset.name, format.accept)
			grown := peakMemory(t, p) - before
			t.Logf("%s as %s: %d MiB more than %d MiB", dataset.name, format.accept, grown>>20, before>>20)
			require.Less(t, grown, int64(listingMemory), "%s as %s", dataset.name, format.accept)
		}
	}
}

// registerDataset registers files at the RSEs SITE1 to SITE<replicas> and attaches them to a new dataset.
func (c *client) registerDataset(t *testing.T, scope, dataset string, files, replicas int) {
	t.Helper()
	const batch = 5000
	c.must(t, http.MethodPost, "/dids/"+scope+"/"+dataset, map[string]any{"type": "DATASET"}, 201)
	for first := 0; first < files; first += batch {
		names := make([]string, min(batch, files-first))
		dids := make([]map[string]string, len(names))
		for i := range names {
			names[i] = fmt.Sprintf("%s/part/file-%08d.root", dataset, first+i)
			dids[i] = map[string]string{"scope": scope, "name": names[i]}
		}
		for i := 1; i <= replicas; i++ {
			c.must(t, http.MethodPost, "/replicas", registration(fmt.Sprintf("SITE%d", i), scope, names...), 201)
		}
		c.must(t, http.MethodPost, "/dids/"+scope+"/"+dataset+"/dids", map[string]any{"dids": dids}, 201)
	}
}

// countListed lists the replicas of a DID and returns how often two texts are in the answer.
func (c *client) countListed(t *testing.T, scope, name, accept, file, url string) (files, urls int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	body, err := json.Marshal(map[string]any{"dids": []map[string]string{{"scope": scope, "name": name}}})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/replicas/list", bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("X-Rucio-Auth-Token", c.token)
	request.Header.Set("Accept", accept)
	response, err := (&http.Client{Transport: c.http.Transport}).Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	list, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return bytes.Count(list, []byte(file)), bytes.Count(list, []byte(url))
}

// resetPeakMemory makes peakMemory forget what was before, and returns the resident memory now.
func resetPeakMemory(t *testing.T, p *process) int64 {
	t.Helper()
	const resetPeak = "5"
	path := "/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/clear_refs"
	if err := os.WriteFile(path, []byte(resetPeak), 0); err != nil {
		t.Skip("the peak of a process's memory cannot be reset here: ", strings.TrimSpace(err.Error()))
	}
	return peakMemory(t, p)
}

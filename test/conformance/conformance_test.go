package conformance

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// recordedSteps is the number of steps in testdata: a story that is not loaded must not pass for one that succeeds.
const recordedSteps = 424

// TestRecordingsOnOneNode plays every story against one node of a cluster of one.
func TestRecordingsOnOneNode(t *testing.T) {
	play(t, testcluster.Start(t, 1).URLs())
}

// TestRecordingsOnThreeNodes sends each step to the next of three nodes; the session cookie makes each see what came before.
func TestRecordingsOnThreeNodes(t *testing.T) {
	play(t, testcluster.Start(t, 3).URLs())
}

// TestRecordingsOnRunningServer plays the stories against the servers named by DAPPLE_CONFORMANCE_URLS, which must have an
// empty catalogue and root's identity ddmlab / secret.
func TestRecordingsOnRunningServer(t *testing.T) {
	urls := os.Getenv("DAPPLE_CONFORMANCE_URLS")
	if urls == "" {
		t.Skip("DAPPLE_CONFORMANCE_URLS names no server")
	}
	play(t, strings.Split(urls, ","))
}

func play(t *testing.T, urls []string) {
	t.Helper()
	stories, err := Load("testdata/*.json")
	require.NoError(t, err)
	player := NewPlayer(urls, testcluster.User, testcluster.Password)
	contract, err := LoadContract(t.Context(), urls[0])
	require.NoError(t, err)
	player.Hold(contract)
	steps := 0
	for i := range stories {
		story := &stories[i]
		steps += len(story.Steps)
		t.Run(story.Scenario, func(t *testing.T) {
			for _, failure := range player.Play(t.Context(), story) {
				t.Error(failure)
			}
		})
	}
	require.Equal(t, recordedSteps, steps)
}

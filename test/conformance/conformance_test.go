package conformance

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

// recordedSteps is how many steps testdata has at least: a story that is not loaded must not pass for one that succeeds.
const recordedSteps = 446

// TestRecordingsOnOneNode plays every story against one node of a cluster of one.
func TestRecordingsOnOneNode(t *testing.T) {
	play(t, stories(t), testcluster.Start(t, 1).URLs())
}

// TestRecordingsOnThreeNodes sends each step to the next of three nodes; the session cookie makes each see what came before.
func TestRecordingsOnThreeNodes(t *testing.T) {
	play(t, stories(t), testcluster.Start(t, 3).URLs())
}

// TestRecordingsOnRunningServer plays the stories against the servers named by DAPPLE_CONFORMANCE_URLS, which must have an
// empty catalogue and root's identity ddmlab / secret.
func TestRecordingsOnRunningServer(t *testing.T) {
	urls := os.Getenv("DAPPLE_CONFORMANCE_URLS")
	if urls == "" {
		t.Skip("DAPPLE_CONFORMANCE_URLS names no server")
	}
	play(t, stories(t), strings.Split(urls, ","))
}

// stories returns the stories of testdata.
func stories(t *testing.T) []Story {
	t.Helper()
	all, err := Load("testdata/*.json")
	require.NoError(t, err)
	steps := 0
	for i := range all {
		steps += len(all[i].Steps)
	}
	require.GreaterOrEqual(t, steps, recordedSteps)
	return all
}

// play plays stories against Dapple and holds it to its API document.
func play(t *testing.T, all []Story, urls []string) {
	t.Helper()
	player := NewPlayer(urls, testcluster.User, testcluster.Password)
	contract, err := LoadContract(t.Context(), urls[0])
	require.NoError(t, err)
	player.Hold(contract)
	playAll(t, player, all)
}

// playAll plays stories, each as a test of its own.
func playAll(t *testing.T, player *Player, all []Story) {
	t.Helper()
	for i := range all {
		story := &all[i]
		t.Run(story.Scenario, func(t *testing.T) {
			for _, failure := range player.Play(t.Context(), story) {
				t.Error(failure)
			}
		})
	}
}

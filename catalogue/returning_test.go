package catalogue

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func setEventsOf(name string, n int64) *command.SetMetadata {
	return &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: name, Set: map[string]string{metaEvents: strconv.FormatInt(n, 10)}}}}
}

// What a dataset's files have together must fit into 64 bits when it comes back, too.
func TestReturningDatasetKeepsItsEventsWithin64Bits(t *testing.T) {
	s := newDIDStore(t)
	s.index(10)
	s.files("f", "g")
	s.collections(TypeDataset, "ds")
	s.attach("ds", "f", "g")
	s.endNow("ds")
	s.expire(100)
	s.gone("ds")
	didDo(s, "root", SetMetadata, setEventsOf("f", math.MaxInt64))
	didDo(s, "root", SetMetadata, setEventsOf("g", 1))
	s.resurrect(100, "ds")
	require.NotContains(t, metadataOfDID(t, s.tx, "ds")[metaEvents], "-")
}

// A file that has become an archive meanwhile makes its dataset one that holds archives.
func TestReturningDatasetKnowsItsArchives(t *testing.T) {
	s := newDIDStore(t)
	s.index(10)
	s.files("a.zip", "f")
	s.collections(TypeDataset, "ds")
	s.attach("ds", "a.zip")
	s.endNow("ds")
	s.expire(100)
	s.attach("a.zip", "f")
	s.resurrect(100, "ds")
	require.True(t, s.did("ds").Archive)
}

// The window may be longer than the time since 1970.
func TestHalfForgottenNeverReturnsInALongWindow(t *testing.T) {
	s := newDIDStore(t)
	s.index(10)
	s.files("f", "g", "h")
	s.collections(TypeDataset, "ds")
	s.attach("ds", "f", "g", "h")
	s.endNow("ds")
	s.expire(100)
	s.gone("ds")
	set := func(window string) {
		didDo(s, "root", SetSetting, &command.SetSetting{Setting: &command.Setting{Name: SettingResurrectWindow, Value: window}})
	}
	set("0s")
	didDo(s, "", ForgetExpired, &command.ForgetExpired{Limit: 1})
	set("100000h")
	didRefused(s, command.CodeDIDNotFound, "root", ResurrectDIDs, &command.ResurrectDIDs{Limit: 10, Dids: namesOf("ds")})
	require.True(t, s.work().Forget)
}

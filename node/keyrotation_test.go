package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/catalogue"
)

// A key signs until it is as old as it may become, and goes when the tokens that it has signed are surely over.
func TestKeysThatAreDue(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rotation := keyRotation{age: 30 * day, lifetime: time.Hour}
	key := func(id string, after time.Duration) catalogue.SigningKey {
		return catalogue.SigningKey{ID: id, Created: start.Add(after).UnixMicro()}
	}
	one, two, three := key("one", 0), key("two", 30*day), key("three", 60*day)
	for name, c := range map[string]struct {
		keys   []catalogue.SigningKey
		at     time.Duration
		add    bool
		remove []string
	}{
		"none yet":                     {nil, 90 * day, false, nil},
		"young":                        {[]catalogue.SigningKey{one}, 30*day - 1, false, nil},
		"old":                          {[]catalogue.SigningKey{one}, 30 * day, true, nil},
		"just replaced":                {[]catalogue.SigningKey{one, two}, 30 * day, false, nil},
		"its tokens may be there":      {[]catalogue.SigningKey{one, two}, 30*day + 2*time.Hour - 1, false, nil},
		"its tokens are over":          {[]catalogue.SigningKey{one, two}, 30*day + 2*time.Hour, false, []string{"one"}},
		"nothing was done for long":    {[]catalogue.SigningKey{one, two}, 90 * day, true, []string{"one"}},
		"several":                      {[]catalogue.SigningKey{one, two, three}, 61 * day, false, []string{"one", "two"}},
		"a clock that was set back":    {[]catalogue.SigningKey{one, two}, 0, false, nil},
		"made by hand before its time": {[]catalogue.SigningKey{one, key("hand", day)}, 2 * day, false, []string{"one"}},
	} {
		t.Run(name, func(t *testing.T) {
			add, remove := rotation.due(c.keys, start.Add(c.at))
			require.Equal(t, c.add, add)
			require.Equal(t, c.remove, remove)
		})
	}
}

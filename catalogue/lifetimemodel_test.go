package catalogue

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

// TestRandomCommandsWhileDIDsEnd runs commands between the steps in which collections end and come back. Each may be refused; what must
// hold is that the catalogue is sound after each, that the feed tells its state, and that the work comes to an end.
func TestRandomCommandsWhileDIDsEnd(t *testing.T) {
	files, datasets, containers := []string{"f0", "f1", "f2", "f3"}, []string{"d0", "d1"}, []string{"c0", "c1", "c2"}
	collections := slices.Concat(datasets, containers)
	rapid.Check(t, func(rt *rapid.T) {
		s := newDIDStore(t)
		s.revision += 1_000_000
		s.index(1)
		s.files(files...)
		s.collections(TypeDataset, datasets...)
		s.collections(TypeContainer, containers...)
		for _, d := range datasets {
			s.attach(d, files...)
			s.attach("c0", d)
			s.attach("c1", d)
		}
		s.attach("c2", "c0")
		s.unchecked = true
		one := func(from []string) string { return rapid.SampledFrom(from).Draw(rt, "name") }
		step := func() uint32 { return rapid.Uint32Range(1, 3).Draw(rt, "limit") }
		try := func(err error) { _ = err } // a refusal is none of this test's business, and one that has written fails it
		actions := map[string]func(*rapid.T){
			"": func(rt *rapid.T) {
				require.NoError(rt, CheckInvariants(s.tx))
			},
			"lifetime": func(*rapid.T) {
				try(didTry(s, "root", SetMetadata, lifetimeOf(one(slices.Concat(collections, files)), one([]string{"-1", "-1", "3", "null"}))))
			},
			"expire":  func(*rapid.T) { s.expire(step()) },
			"expire2": func(*rapid.T) { s.expire(step()) },
			"expire named": func(*rapid.T) {
				s.expire(step(), one(collections))
			},
			"resurrect": func(*rapid.T) {
				try(didTry(s, "root", ResurrectDIDs, &command.ResurrectDIDs{Limit: step(), Dids: namesOf(one(collections))}))
			},
			"attach": func(*rapid.T) {
				if parent := one(collections); slices.Contains(datasets, parent) {
					try(didTry(s, "root", AttachDIDs, attachTo(parent, one(files))))
				} else {
					try(didTry(s, "root", AttachDIDs, attachTo(parent, one(collections))))
				}
			},
			"detach": func(*rapid.T) {
				try(didTry(s, "root", DetachDIDs, detachFrom(one(collections), one(slices.Concat(collections, files)))))
			},
			"make": func(*rapid.T) {
				try(didTry(s, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{
					{Scope: "s", Name: one(collections), Type: uint32(rapid.SampledFrom([]DIDType{TypeDataset, TypeContainer}).Draw(rt, "type"))},
				}}))
			},
			"events": func(*rapid.T) {
				try(didTry(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{
					{Scope: "s", Name: one(files), Set: map[string]string{metaEvents: one([]string{"3", "8"})}},
				}}))
			},
			"close": func(*rapid.T) {
				try(didTry(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: one(collections), Open: rapid.Bool().Draw(rt, "open")}))
			},
			"delete": func(*rapid.T) {
				try(didTry(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: one(files)}}}))
			},
			"register": func(*rapid.T) {
				name := one(slices.Concat(files, collections))
				try(didTry(s, "root", AddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{
					{Scope: "s", Name: name, Bytes: rapid.Uint64Range(10, 11).Draw(rt, "bytes"), Meta: map[string]string{"lifetime": "2"}},
				}}))
			},
			"forget": func(*rapid.T) {
				s.revision += rapid.SampledFrom([]uint64{1, 1_000_000}).Draw(rt, "later")
				try(didTry(s, "", ForgetExpired, &command.ForgetExpired{Limit: step()}))
			},
		}
		rt.Repeat(actions)
		left := 1000
		for ; s.work().Expire && left > 0; left-- {
			s.expire(2)
		}
		require.NotZero(rt, left, "the work ends")
		require.NoError(rt, CheckInvariants(s.tx))
		requireReplay(rt, s.tx)
	})
}

// endModelled ends a collection by as many commands as it takes.
func (s *didStore) endModelled(name string, limit uint32) error {
	if d, err := GetDID(s.tx, "s", name); err == nil && d.Type == TypeFile {
		return Errorf(command.CodeUnsupportedOperation, "%s is a file", name)
	}
	if err := didTry(s, "root", SetMetadata, lifetimeOf(name, "-1")); err != nil {
		return err
	}
	for {
		if _, err := GetDID(s.tx, "s", name); err != nil {
			return s.finishWork(limit)
		}
		if err := didTry(s, "", ExpireDIDs, &command.ExpireDIDs{Limit: limit, Dids: namesOf(name)}); err != nil {
			return err
		}
	}
}

// finishWork goes on with what has been begun until it is done; the catalogue is sound after each command.
func (s *didStore) finishWork(limit uint32) error {
	for {
		if err := CheckInvariants(s.tx); err != nil {
			return err
		}
		hiding, err := findHiding(s.tx)
		if err != nil || !hiding.any {
			return err
		}
		if err := didTry(s, "", ExpireDIDs, &command.ExpireDIDs{Limit: limit}); err != nil {
			return err
		}
	}
}

// forgetAll forgets all that has ended.
func (s *didStore) forgetAll(limit uint32) error {
	window := func(value string) *command.SetSetting {
		return &command.SetSetting{Setting: &command.Setting{Name: SettingResurrectWindow, Value: value}}
	}
	if err := didTry(s, "root", SetSetting, window("0s")); err != nil {
		return err
	}
	for {
		left := 0
		err := s.tx.Scan([]byte{tableEnded}, []byte{tableEnded + 1}, func(_, _ []byte) (bool, error) { left++; return true, nil })
		if err != nil || left == 0 {
			return errors.Join(err, didTry(s, "root", SetSetting, window("")))
		}
		if err := didTry(s, "", ForgetExpired, &command.ForgetExpired{Limit: limit}); err != nil {
			return err
		}
	}
}

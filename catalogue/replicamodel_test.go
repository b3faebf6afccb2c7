package catalogue

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

// replicaModel is the naive idea of the replicas of files in scope s: maps that are copied before each command and thrown away
// where it is refused.
type replicaModel struct {
	sizes  map[string]uint64
	states map[[2]string]ReplicaState // RSE, file
	bad    map[[2]string]string       // states of the declarations, oldest first
}

func (m *replicaModel) clone() *replicaModel {
	return &replicaModel{maps.Clone(m.sizes), maps.Clone(m.states), maps.Clone(m.bad)}
}

func (m *replicaModel) add(rse string, files []*command.NewFile) bool {
	seen := map[string]bool{}
	for _, f := range files {
		size, known := m.sizes[f.Name]
		if seen[f.Name] || known && size != f.Bytes {
			return false
		}
		seen[f.Name] = true
		m.sizes[f.Name] = f.Bytes
		if _, there := m.states[[2]string{rse, f.Name}]; !there {
			m.states[[2]string{rse, f.Name}] = ReplicaState(f.State)
		}
	}
	return true
}

func (m *replicaModel) update(rse string, changes []*command.ReplicaChange) bool {
	for _, c := range changes {
		key := [2]string{rse, c.Name}
		from, there := m.states[key]
		to := ReplicaState(c.State)
		if !there || to == 'T' && from != 'A' && from != 'T' {
			return false
		}
		m.states[key] = to
		if to == 'A' {
			m.settle(key, 'R')
		}
	}
	return true
}

// settle changes the standing declarations of a replica.
func (m *replicaModel) settle(key [2]string, to byte) {
	states := []byte(m.bad[key])
	for i := range states {
		if states[i] == 'B' {
			states[i] = to
		}
	}
	m.bad[key] = string(states)
}

func (m *replicaModel) remove(rse string, names []string) bool {
	seen := map[string]bool{}
	for _, name := range names {
		key := [2]string{rse, name}
		if _, there := m.states[key]; !there || seen[name] {
			return false
		}
		seen[name] = true
	}
	for _, name := range names {
		key := [2]string{rse, name}
		delete(m.states, key)
		m.settle(key, 'D')
		if m.copies(name) == 0 {
			delete(m.sizes, name)
		}
	}
	return true
}

func (m *replicaModel) copies(name string) (n int) {
	for key := range m.states {
		if key[1] == name {
			n++
		}
	}
	return n
}

// declare returns how many could not be declared.
func (m *replicaModel) declare(rse string, names []string, force, suspicious bool) (not int) {
	seen := map[string]bool{}
	for _, name := range names {
		key := [2]string{rse, name}
		_, there := m.states[key]
		if seen[name] {
			continue
		}
		seen[name] = true
		standing := false
		for _, state := range m.bad[key] {
			standing = standing || state == 'B'
		}
		switch {
		case !there, standing && !force && !suspicious:
			not++
		case suspicious:
			m.bad[key] += "S"
		default:
			m.states[key] = 'D'
			if !standing {
				m.bad[key] += "B"
			}
		}
	}
	return not
}

// matches compares the catalogue with the model.
func (m *replicaModel) matches(t *rapid.T, s *didStore, rses, names []string) {
	tallies := map[[2]string]Tally{}
	for _, name := range names {
		copies := 0
		for _, rse := range rses {
			key := [2]string{rse, name}
			state, there := m.states[key]
			r := s.replica(rse, name)
			if (r != nil) != there || there && r.State != state {
				t.Fatalf("%v is %v, want %c", key, r, state)
			}
			if there {
				copies++
				counter := [2]string{rse, string(state)}
				tallies[counter] = Tally{tallies[counter].Files + 1, tallies[counter].Bytes + m.sizes[name]}
			}
			if got := s.badStatesOf(rse, name); got != m.bad[key] {
				t.Fatalf("declarations of %v are %q, want %q", key, got, m.bad[key])
			}
		}
		if _, err := GetDID(s.tx, "s", name); (err == nil) != (copies > 0) {
			t.Fatalf("%s has %d replicas, and its DID: %v", name, copies, err)
		}
	}
	for _, rse := range rses {
		for _, state := range counterStates {
			if got, want := s.tally(rse, ReplicaState(state)), tallies[[2]string{rse, string(state)}]; got != want {
				t.Fatalf("%s holds %v in %c, want %v", rse, got, state, want)
			}
		}
	}
}

// Random commands do to the catalogue what they do to the model, and a refused one does nothing.
func TestReplicasAgainstModel(t *testing.T) {
	rses, names := []string{"ONE", "TWO"}, []string{"a", "b", "c", "d/e"}
	rapid.Check(t, func(rt *rapid.T) {
		s := newReplicaStore(t)
		m := &replicaModel{map[string]uint64{}, map[[2]string]ReplicaState{}, map[[2]string]string{}}
		some := rapid.SliceOfN(rapid.SampledFrom(names), 1, 3)
		letter := rapid.SampledFrom([]byte(counterStates))
		for range rapid.IntRange(1, 15).Draw(rt, "commands") {
			rse, chosen, after := rapid.SampledFrom(rses).Draw(rt, "rse"), some.Draw(rt, "names"), m.clone()
			var (
				err  error
				want bool
			)
			switch rapid.IntRange(0, 4).Draw(rt, "command") {
			case 0, 1:
				add := addTo(rse)
				for _, name := range chosen {
					add.Files = append(add.Files, newFile(name, func(f *command.NewFile) {
						f.Bytes = rapid.SampledFrom([]uint64{10, 10, 10, 11}).Draw(rt, "bytes")
						f.State = uint32(letter.Draw(rt, "state"))
					}))
				}
				want, err = after.add(rse, add.Files), didTry(s, "root", AddReplicas, add)
			case 2:
				update := updateAt(rse)
				for _, name := range chosen {
					update.Files = append(update.Files, change(name, ReplicaState(letter.Draw(rt, "state"))))
				}
				want, err = after.update(rse, update.Files), didTry(s, "root", UpdateReplicaStates, update)
			case 3:
				want, err = after.remove(rse, chosen), didTry(s, "root", DeleteReplicas, deleteAt(rse, chosen...))
			case 4:
				declaration := badAt(rse, chosen...)
				declaration.Force = rapid.Bool().Draw(rt, "force")
				var not []string
				if rapid.Bool().Draw(rt, "suspicious") {
					not = declaredAs(s, "root", DeclareSuspicious, &command.DeclareSuspicious{Replicas: declaration.Replicas})
					require.Len(t, not, after.declare(rse, chosen, false, true))
				} else {
					not = declaredAs(s, "root", DeclareBad, declaration)
					require.Len(t, not, after.declare(rse, chosen, declaration.Force, false))
				}
				want = true
			}
			if (err == nil) != want {
				rt.Fatalf("got %v, want %v", err, want)
			}
			if want {
				m = after
			}
			m.matches(rt, s, rses, names)
		}
		requireReplay(rt, s.tx)
	})
}

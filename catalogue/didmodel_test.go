package catalogue

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/command"
)

// didModel is the naive idea of DIDs in scope s: maps that are copied before each command and thrown away where it is refused.
type didModel struct {
	kinds    map[string]DIDType
	closed   map[string]bool
	mono     map[string]bool
	replicas map[[2]string]bool // file, RSE
	edges    map[[2]string]bool // collection, child
	packed   map[[2]string]bool // archive, file
	ended    map[string]endedModel
	kept     map[[2]string]string // collection, child -> which of the two keeps the attachment
}

// endedModel is what comes back of a collection beside its attachments.
type endedModel struct {
	kind         DIDType
	closed, mono bool
}

const modelBytes = 10

func (m *didModel) clone() *didModel {
	return &didModel{
		maps.Clone(m.kinds), maps.Clone(m.closed), maps.Clone(m.mono), maps.Clone(m.replicas), maps.Clone(m.edges), maps.Clone(m.packed),
		maps.Clone(m.ended), maps.Clone(m.kept),
	}
}

// end ends a collection, which keeps its attachments; it returns false where there is none.
func (m *didModel) end(name string) bool {
	kind, known := m.kinds[name]
	if !known || kind == TypeFile {
		return false
	}
	m.forget(name)
	for e := range m.edges {
		if e[0] == name || e[1] == name {
			delete(m.edges, e)
			m.kept[e] = name
		}
	}
	m.ended[name] = endedModel{kind, m.closed[name], m.mono[name]}
	delete(m.kinds, name)
	delete(m.closed, name)
	delete(m.mono, name)
	return true
}

// forget forgets a collection that has ended.
func (m *didModel) forget(name string) {
	delete(m.ended, name)
	maps.DeleteFunc(m.kept, func(_ [2]string, keeper string) bool { return keeper == name })
}

// resurrect brings a collection back that has ended; it returns false where there is none, or another one of that name.
func (m *didModel) resurrect(name string) bool {
	was, ended := m.ended[name]
	if _, exists := m.kinds[name]; exists || !ended {
		return false
	}
	m.kinds[name], m.closed[name], m.mono[name] = was.kind, was.closed, was.mono
	for e, keeper := range m.kept {
		if keeper != name {
			continue
		}
		delete(m.kept, e)
		other := e[0]
		if other == name {
			other = e[1]
		}
		if _, exists := m.kinds[other]; !exists {
			if _, waits := m.ended[other]; waits {
				m.kept[e] = other
			}
		} else if !under(m.edges, e[1], e[0]) && e[0] != e[1] {
			m.edges[e] = true
		}
	}
	delete(m.ended, name)
	return true
}

// under returns whether a DID can be reached from another by edges.
func under(edges map[[2]string]bool, top, name string) bool {
	for e := range edges {
		if e[0] == top && (e[1] == name || under(edges, e[1], name)) {
			return true
		}
	}
	return false
}

func has(edges map[[2]string]bool, column int, name string) bool {
	for e := range edges {
		if e[column] == name {
			return true
		}
	}
	return false
}

// register adds replicas; it returns false where that is refused.
func (m *didModel) register(rse string, names []string) bool {
	for _, name := range names {
		if t, known := m.kinds[name]; known && t != TypeFile {
			return false
		}
		m.kinds[name] = TypeFile
		m.replicas[[2]string{name, rse}] = true
	}
	return true
}

func (m *didModel) attach(parent string, children []string, ignore bool) bool {
	children = slices.Compact(slices.Sorted(slices.Values(children)))
	t, known := m.kinds[parent]
	switch {
	case !known:
		return false
	case t == TypeFile:
		return IsArchiveName(parent) && m.pack(parent, children, ignore)
	case m.closed[parent]:
		return false
	}
	for _, child := range children {
		ct, known := m.kinds[child]
		switch {
		case !known, child == parent, (t == TypeDataset) != (ct == TypeFile), ct != m.kinds[children[0]]:
			return false
		case t == TypeContainer && under(m.edges, child, parent):
			return false
		case m.edges[[2]string{parent, child}] && !ignore:
			return false
		}
	}
	for _, child := range children {
		m.edges[[2]string{parent, child}] = true
	}
	return true
}

func (m *didModel) pack(archive string, children []string, ignore bool) bool {
	for _, child := range children {
		t, known := m.kinds[child]
		e := [2]string{archive, child}
		if child == archive || known && t != TypeFile || m.packed[e] && !ignore || under(m.packed, child, archive) {
			return false
		}
		m.kinds[child] = TypeFile
		m.packed[e] = true
	}
	return true
}

func (m *didModel) detach(parent string, children []string) bool {
	t, known := m.kinds[parent]
	if !known || t == TypeFile || !has(m.edges, 0, parent) || m.mono[parent] {
		return false
	}
	for _, child := range children {
		e := [2]string{parent, child}
		if !m.edges[e] {
			return false
		}
		delete(m.edges, e)
	}
	return true
}

func (m *didModel) remove(rse string, names []string) bool {
	for _, name := range names {
		if !m.replicas[[2]string{name, rse}] {
			return false
		}
		delete(m.replicas, [2]string{name, rse})
	}
	m.sweep()
	return true
}

// sweep takes out files with neither replica nor archive until there is none.
func (m *didModel) sweep() {
	for again := true; again; {
		again = false
		for name, t := range m.kinds {
			if t != TypeFile || has(m.replicas, 0, name) || has(m.packed, 1, name) {
				continue
			}
			delete(m.kinds, name)
			maps.DeleteFunc(m.edges, func(e [2]string, _ bool) bool { return e[1] == name })
			maps.DeleteFunc(m.packed, func(e [2]string, _ bool) bool { return e[0] == name })
			again = true
		}
	}
}

// children returns what is attached to a collection, in order.
func (m *didModel) children(name string) []string { return m.across(0, name) }

// parents returns what a DID is attached to, in order.
func (m *didModel) parents(name string) []string { return m.across(1, name) }

// across returns the other ends of the edges that have a name in a column, in order.
func (m *didModel) across(column int, name string) []string {
	var all []string
	for e := range m.edges {
		if e[column] == name {
			all = append(all, e[1-column])
		}
	}
	slices.Sort(all)
	return all
}

// at returns the files that have a replica at an RSE, in order.
func (m *didModel) at(rse string) []string {
	var all []string
	for r := range m.replicas {
		if r[1] == rse {
			all = append(all, r[0])
		}
	}
	slices.Sort(all)
	return all
}

// modelCheck compares the store with the model.
func modelCheck(t *rapid.T, tx *MemTx, m *didModel, all []string) {
	for _, name := range all {
		d, err := GetDID(tx, "s", name)
		kind, known := m.kinds[name]
		if !known {
			require.Equal(t, command.CodeDIDNotFound, CodeOf(err), name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, kind, d.Type, name)
		require.Equal(t, has(m.packed, 1, name), d.Constituent, name)
		require.Equal(t, m.parents(name), parentNames(t, tx, name), name)
		if kind == TypeFile {
			continue
		}
		require.Equal(t, !m.closed[name], d.Open, name)
		want := m.children(name)
		var got []string
		require.NoError(t, ScanChildren(tx, "s", name, func(_, child string, _ DIDType) (bool, error) {
			got = append(got, child)
			return true, nil
		}))
		require.Equal(t, want, got, name)
		require.EqualValues(t, len(want), d.Length, name)
	}
}

// fitting returns what may go into a parent of a kind, and for once everything.
func fitting(t DIDType, files, archives, datasets, containers, all []string) [][]string {
	switch t {
	case TypeContainer:
		return [][]string{containers, datasets, slices.Concat(datasets, containers), all}
	case TypeFile:
		return [][]string{files, archives, all}
	default:
		return [][]string{files, all}
	}
}

func TestRandomCommandsAgainstModel(t *testing.T) {
	// What is drawn more often, because it leads further, comes first.
	files := []string{"a.zip", "f2", "b.zip", "f0", "f1", "f3"}
	archives := []string{"a.zip", "b.zip"}
	datasets, containers := []string{"d0", "d1", "d2"}, []string{"c0", "c1", "c2"}
	late := []string{"d3", "c3"} // made on the way
	all := slices.Concat(files, datasets, containers, late)
	rapid.Check(t, func(rt *rapid.T) {
		s := newDIDStore(t)
		putVersions(s.tx, rapid.SampledFrom([]uint64{SchemaVersion, homeSchema - 1}).Draw(rt, "schema"), rapid.Uint64Range(0, NewestFeatureLevel).Draw(rt, "level"))
		m := &didModel{
			map[string]DIDType{},
			map[string]bool{},
			map[string]bool{},
			map[[2]string]bool{},
			map[[2]string]bool{},
			map[[2]string]bool{},
			map[string]endedModel{},
			map[[2]string]string{},
		}
		s.files("f0", "f1", "a.zip")
		m.register("ONE", []string{"f0", "f1", "a.zip"})
		s.collections(TypeDataset, datasets...)
		s.collections(TypeContainer, containers...)
		for i := range datasets {
			m.kinds[datasets[i]], m.kinds[containers[i]] = TypeDataset, TypeContainer
		}
		s.unchecked = true
		some := func(from []string) []string {
			return rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(rt, "names")
		}
		withSizes := func(names []string) []*command.Child {
			children := make([]*command.Child, len(names))
			for i, name := range names {
				children[i] = sized(name, modelBytes)
			}
			return children
		}
		withEvents := func(children []*command.Child) []*command.Child {
			for _, c := range children {
				c.File.Meta = map[string]string{metaEvents: `3`}
			}
			return children
		}
		run := func(expect func(m *didModel) bool, command func() error) {
			next := m.clone()
			want, err := expect(next), command()
			require.Equal(rt, want, err == nil, "%v", err)
			if err == nil {
				m = next
			}
			modelCheck(rt, s.tx, m, all)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"make": func(*rapid.T) {
				name := rapid.SampledFrom(late).Draw(rt, "name")
				kind, mono := TypeContainer, rapid.Bool().Draw(rt, "mono")
				if strings.HasPrefix(name, "d") {
					kind = TypeDataset
				}
				run(func(m *didModel) bool {
					_, known := m.kinds[name]
					m.kinds[name], m.mono[name] = kind, mono
					return !known
				}, func() error {
					return didTry(s, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{
						{Scope: "s", Name: name, Type: uint32(kind), Monotonic: mono},
					}})
				})
			},
			"register": func(*rapid.T) {
				rse, names := rapid.SampledFrom([]string{"ONE", "TWO"}).Draw(rt, "rse"), rapid.SliceOfNDistinct(rapid.SampledFrom(files), 1, 3, rapid.ID).Draw(rt, "files")
				run(func(m *didModel) bool { return m.register(rse, names) }, func() error {
					add := &command.AddReplicas{Rse: rse}
					for _, c := range withSizes(names) {
						add.Files = append(add.Files, c.File)
					}
					return didTry(s, "root", AddReplicas, add)
				})
			},
			"attach": func(*rapid.T) {
				ignore := rapid.Bool().Draw(rt, "ignore")
				c := &command.AttachDIDs{Bulk: true, IgnoreDuplicate: ignore}
				for range rapid.IntRange(1, 2).Draw(rt, "attachments") {
					parent := rapid.SampledFrom(slices.Concat(archives, containers, datasets, late)).Draw(rt, "parent")
					from := rapid.SampledFrom(fitting(m.kinds[parent], files, archives, datasets, containers, all)).Draw(rt, "from")
					c.Attachments = append(c.Attachments, &command.Attachment{Scope: "s", Name: parent, Children: withSizes(some(from))})
				}
				for _, a := range c.Attachments { // collections have no size to be checked, files all the same
					for _, child := range a.Children {
						child.HasBytes = slices.Contains(files, child.File.Name)
					}
				}
				run(func(m *didModel) bool {
					for _, a := range c.Attachments {
						var names []string
						for _, child := range a.Children {
							names = append(names, child.File.Name)
						}
						if IsArchiveName(a.Name) && slices.ContainsFunc(names, func(n string) bool { _, known := m.kinds[n]; return !known && !slices.Contains(files, n) }) {
							return false // it would need a size
						}
						if !m.attach(a.Name, names, ignore) {
							return false
						}
					}
					return true
				}, func() error { return didTry(s, "root", AttachDIDs, c) })
			},
			"attach at RSE": func(*rapid.T) {
				dataset, names := rapid.SampledFrom(datasets).Draw(rt, "dataset"), some(files)
				run(func(m *didModel) bool {
					return m.kinds[dataset] != 0 && m.register("ONE", names) && m.attach(dataset, names, true)
				}, func() error {
					return didTry(s, "root", AttachDIDs, &command.AttachDIDs{IgnoreDuplicate: true, Attachments: []*command.Attachment{
						{Scope: "s", Name: dataset, Rse: "ONE", Children: withEvents(withSizes(names))},
					}})
				})
			},
			"detach": func(*rapid.T) {
				parent := rapid.SampledFrom(slices.Concat(datasets, containers, late)).Draw(rt, "parent")
				names := some(all)
				if at := m.children(parent); len(at) > 0 { // mostly something that is attached
					names = append(names[:rapid.IntRange(0, 1).Draw(rt, "others")], some(at)...)
				}
				run(func(m *didModel) bool { return m.detach(parent, names) }, func() error { return didTry(s, "root", DetachDIDs, detachFrom(parent, names...)) })
			},
			"delete": func(*rapid.T) {
				rse, from := rapid.SampledFrom([]string{"ONE", "ONE", "TWO"}).Draw(rt, "rse"), files
				if at := m.at(rse); len(at) > 0 && rapid.IntRange(0, 3).Draw(rt, "miss") > 0 {
					from = at
				}
				names := rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, min(3, len(from)), rapid.ID).Draw(rt, "files")
				run(func(m *didModel) bool { return m.remove(rse, names) }, func() error {
					c := &command.DeleteReplicas{Rse: rse}
					for _, name := range names {
						c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
					}
					return didTry(s, "root", DeleteReplicas, c)
				})
			},
			"status": func(*rapid.T) {
				name, open := rapid.SampledFrom(all).Draw(rt, "name"), rapid.Bool().Draw(rt, "open")
				run(func(m *didModel) bool {
					kind, known := m.kinds[name]
					ok := known && kind != TypeFile && m.closed[name] == open
					m.closed[name] = !open
					return ok
				}, func() error {
					return didTry(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: name, Open: open})
				})
			},
			"end": func(*rapid.T) {
				name, limit := rapid.SampledFrom(slices.Concat(datasets, containers, late)).Draw(rt, "name"), rapid.Uint32Range(1, 4).Draw(rt, "limit")
				run(func(m *didModel) bool { return m.end(name) }, func() error { return s.endModelled(name, limit) })
			},
			"resurrect": func(*rapid.T) {
				name, limit := rapid.SampledFrom(slices.Concat(datasets, containers, late)).Draw(rt, "name"), rapid.Uint32Range(1, 4).Draw(rt, "limit")
				if ended := slices.Sorted(maps.Keys(m.ended)); len(ended) > 0 {
					name = rapid.SampledFrom(ended).Draw(rt, "ended")
				}
				run(func(m *didModel) bool { return m.resurrect(name) }, func() error {
					err := didTry(s, "root", ResurrectDIDs, &command.ResurrectDIDs{Limit: limit, Dids: namesOf(name)})
					return errors.Join(err, s.finishWork(limit))
				})
			},
			"forget": func(*rapid.T) {
				run(func(m *didModel) bool {
					for name := range m.ended {
						m.forget(name)
					}
					return true
				}, func() error { return s.forgetAll(rapid.Uint32Range(1, 4).Draw(rt, "limit")) })
			},
			"metadata": func(*rapid.T) {
				name, recursive := rapid.SampledFrom(all).Draw(rt, "name"), rapid.Bool().Draw(rt, "recursive")
				key, value := metaEvents, rapid.SampledFrom([]string{`5`, `7`, `null`}).Draw(rt, "value") // whose sums the invariants recount
				run(func(m *didModel) bool { return m.kinds[name] == TypeFile }, func() error {
					return didTry(s, "root", SetMetadata, &command.SetMetadata{Recursive: recursive, Dids: []*command.DIDMetadata{
						{Scope: "s", Name: name, Set: map[string]string{key: value}},
					}})
				})
			},
		})
		require.NoError(rt, CheckInvariants(s.tx))
		requireReplay(rt, s.tx)
	})
}

package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"dapple/client"
	"dapple/command"
)

// line is one line of the input: what docs/import.md describes, or a line of a listing of replicas.
type line struct {
	Scope    string           `json:"scope"`
	Name     string           `json:"name"`
	Bytes    *uint64          `json:"bytes"`
	Adler32  string           `json:"adler32"`
	MD5      string           `json:"md5"`
	Replicas []lineReplica    `json:"replicas"`
	Dataset  *client.DIDName  `json:"dataset"`
	Datasets []client.DIDName `json:"datasets"`

	// What a listing says instead of replicas.
	RSEs   map[string][]string `json:"rses"`
	States map[string]string   `json:"states"`
	PFNs   map[string]linePFN  `json:"pfns"`

	// What a listing may have beside that and is left out: a misspelt key must not be, so all others are refused.
	Parents    json.RawMessage `json:"parents"`
	Versions   json.RawMessage `json:"versions"`
	SpaceToken json.RawMessage `json:"space_token"`
}

type lineReplica struct {
	RSE   string `json:"rse"`
	State string `json:"state"`
	PFN   string `json:"pfn"`
}

// linePFN is what a listing says about a PFN, as far as it matters.
type linePFN struct{ Domain string }

// UnmarshalJSON implements json.Unmarshaler: the keys that do not matter are many, and may be any.
func (p *linePFN) UnmarshalJSON(b []byte) error {
	var known struct {
		Domain string `json:"domain"`
	}
	err := json.Unmarshal(b, &known)
	p.Domain = known.Domain
	return err
}

// item is a file to import and what has become of it.
type item struct {
	source, line int // where it stands
	file         client.NewFile
	replicas     []replica
	datasets     []client.DIDName
}

// replica is one copy of a file. A listed one has a PFN that is only told where the RSE needs it.
type replica struct {
	rse, state, pfn string
	listed          bool
}

// did names the file in messages.
func (i *item) did() string { return i.file.Scope + ":" + i.file.Name }

// parse reads a line. The error says what is wrong with it.
func parse(text []byte) (*item, error) {
	var l line
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return nil, fmt.Errorf("not a line of an import: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value in a line")
	}
	switch {
	case l.Scope == "" || l.Name == "":
		return nil, errors.New("scope and name are required")
	case l.Bytes == nil:
		return nil, errors.New("bytes is required")
	}
	i := &item{file: client.NewFile{Scope: l.Scope, Name: l.Name, Bytes: *l.Bytes, Adler32: l.Adler32, MD5: l.MD5}, datasets: l.Datasets}
	if l.Dataset != nil {
		i.datasets = append(i.datasets, *l.Dataset)
	}
	for _, d := range i.datasets {
		if d.Scope == "" || d.Name == "" {
			return nil, errors.New("a dataset needs a scope and a name")
		}
	}
	return i, i.take(&l)
}

// take takes the replicas of a line.
func (i *item) take(l *line) error {
	for _, r := range l.Replicas {
		i.replicas = append(i.replicas, replica{rse: r.RSE, state: r.State, pfn: r.PFN})
	}
	i.takeListed(l)
	if len(i.replicas) == 0 {
		return errors.New("no replicas")
	}
	seen := make([]string, 0, len(i.replicas))
	for n := range i.replicas {
		r := &i.replicas[n]
		if r.rse == "" {
			return errors.New("a replica needs an rse")
		}
		if slices.Contains(seen, r.rse) {
			return fmt.Errorf("two replicas at %s", r.rse)
		}
		seen = append(seen, r.rse)
		var known bool
		if r.state, known = letter(r.state); !known {
			return fmt.Errorf("replica at %s: no state %q", r.rse, r.state)
		}
	}
	return nil
}

// takeListed takes the replicas of a listing. Copies inside of an archive are the archive's, not the file's.
func (i *item) takeListed(l *line) {
	var rses []string
	for rse, pfns := range l.RSEs {
		own := slices.DeleteFunc(slices.Clone(pfns), func(pfn string) bool { return l.PFNs[pfn].Domain == "zip" })
		if len(pfns) == 0 || len(own) > 0 {
			rses = append(rses, rse)
		}
	}
	for rse := range l.States {
		if _, known := l.RSEs[rse]; !known {
			rses = append(rses, rse)
		}
	}
	slices.Sort(rses)
	for _, rse := range rses {
		r := replica{rse: rse, state: l.States[rse], listed: true}
		for _, pfn := range l.RSEs[rse] {
			if l.PFNs[pfn].Domain != "zip" {
				r.pfn = pfn
				break
			}
		}
		i.replicas = append(i.replicas, r)
	}
}

// letter returns the letter of a state that is named in full or by it; none is available.
func letter(text string) (string, bool) {
	if text == "" {
		return string(rune(command.StateAvailable)), true
	}
	state, known := command.ParseReplicaState(text)
	if !known {
		return text, false
	}
	return string(rune(state)), true
}

package cluster

import (
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"dapple/internal/halt"
)

// AlarmState is a member whose state differs from that of a majority of the voters, or all members where none agrees.
const AlarmState = "state_differs"

// comparison is what a leader knows of the digests of its members' states at one index. The zero value is ready.
type comparison struct {
	mu     sync.Mutex
	index  uint64
	own    string
	others map[string]string // by server id
	agreed string            // of a majority of voters; empty as long as it is not known
	differ []string          // members that have another digest than the majority, or all where there is none
	last   uint64            // the last index with a majority
}

// question returns what the next poll asks every member: for the digest at the index at which this node has made its last one.
func (c *comparison) question(n *Node) pollQuestion {
	if n.cfg.Digests == nil {
		return pollQuestion{}
	}
	index, own := n.cfg.Digests.LatestDigest()
	c.mu.Lock()
	defer c.mu.Unlock()
	if index != c.index {
		c.index, c.own, c.others, c.agreed = index, own, map[string]string{}, ""
	}
	return pollQuestion{Digest: c.index, Agreed: c.agreed}
}

// heard notes a member's digest at an index.
func (c *comparison) heard(member string, index uint64, digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if index == c.index && digest != "" {
		c.others[member] = digest
	}
}

func (c *comparison) agreedIndex() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// settle compares what is known and returns the digest of a majority of the voters, the members that have another one, and
// whether that is news.
func (c *comparison) settle(self string, servers []raft.Server) (agreed string, differ []string, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index == 0 {
		return "", nil, false
	}
	known := map[string]string{self: c.own}
	for _, s := range servers {
		if digest := c.others[string(s.ID)]; digest != "" {
			known[string(s.ID)] = digest
		}
	}
	votes, voters, silent := map[string]int{}, 0, 0
	for _, s := range servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if digest := known[string(s.ID)]; digest != "" {
			votes[digest]++
		} else {
			silent++
		}
	}
	for digest, count := range votes {
		if 2*count > voters {
			c.agreed, c.last = digest, c.index
		}
	}
	for member, digest := range known {
		if c.agreed != "" && digest != c.agreed || c.agreed == "" && silent == 0 && len(votes) > 1 {
			differ = append(differ, member)
		}
	}
	slices.Sort(differ)
	if c.agreed == "" && silent > 0 {
		return "", c.differ, false // nothing is known of this index yet
	}
	news = !slices.Equal(differ, c.differ)
	c.differ = differ
	return c.agreed, differ, news
}

// compareDigests looks for members whose state differs. One that differs from a majority learns that with the next poll and
// stops; this node stops at once. Where no majority agrees nobody can tell who is right: that is left to the operator.
func (n *Node) compareDigests() {
	if n.cfg.Digests == nil {
		return
	}
	servers := n.servers()
	agreed, differ, news := n.digests.settle(n.serverID(), servers)
	if news {
		why := "its state differs from that of the majority, so it is told to stop: let it rejoin with an empty folder"
		if agreed == "" {
			why = "the states of the members differ and no majority agrees: stop writing and compare the members' digests"
		}
		for _, s := range servers {
			if id := string(s.ID); slices.Contains(differ, id) {
				n.raise(AlarmState, id, why)
			} else {
				n.clear(AlarmState, id)
			}
		}
	}
	if agreed != "" && slices.Contains(differ, n.serverID()) {
		n.digests.mu.Lock()
		index, own := n.digests.index, n.digests.own
		n.digests.mu.Unlock()
		n.disown(index, own, agreed)
	}
}

// answerDigest answers the question of a leader's poll, and takes in what it says of the majority.
func (n *Node) answerDigest(q pollQuestion) string {
	if n.cfg.Digests == nil || q.Digest == 0 {
		return ""
	}
	own, found := n.cfg.Digests.DigestAt(q.Digest)
	if found && q.Agreed != "" && own != q.Agreed {
		n.disown(q.Digest, own, q.Agreed)
	}
	return own
}

// disown stops this node before it applies more: its state is not what the log makes of it on the majority.
func (n *Node) disown(index uint64, own, agreed string) {
	err := fmt.Errorf("%w: the state as of index %d has the digest %.12s, that of a majority of the voters has %.12s",
		halt.ErrStoreDamaged, index, own, agreed)
	n.cfg.Digests.Disown(err)
	n.fail(err)
}

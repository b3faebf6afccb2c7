package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"

	"dapple/command"
)

// A node whose disk is full stops, and when all are full nobody can free space by deleting. So the leader refuses what needs space
// while there is still room for the commands that free it.

const (
	// diskInterval is how often a node looks at its free space. It bounds how much is written below the watermark.
	diskInterval = 500 * time.Millisecond
	// minFreeShare and minFreeMost are the watermark by default: a share of the file system, up to a number of bytes.
	minFreeShare = 20
	minFreeMost  = 1 << 30
)

// DiskSpace is what a file system has, in bytes. Free is what this process may use of it.
type DiskSpace struct{ Free, Size uint64 }

// freeDisk asks the operating system for the file system of a folder.
func freeDisk(dir string) (DiskSpace, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return DiskSpace{}, fmt.Errorf("free space of %s: %w", dir, err)
	}
	block := uint64(s.Bsize)
	return DiskSpace{Free: s.Bavail * block, Size: s.Blocks * block}, nil
}

// disk is what a member knows of the file system of its data folder. The zero value says nothing.
type disk struct {
	Free   uint64 `json:"free"`
	Wanted uint64 `json:"wanted"`
	Low    bool   `json:"low,omitempty"`
}

// next is d after a look at the file system. A disk that is low stays so until it has a quarter more than the watermark, so
// that it does not go to and fro.
func (d disk) next(s DiskSpace, minFree int64) disk {
	want := min(s.Size/minFreeShare, minFreeMost)
	if minFree > 0 {
		want = uint64(minFree)
	}
	limit := want
	if d.Low {
		limit += want / 4
	}
	return disk{Free: s.Free, Wanted: want, Low: s.Free < limit}
}

func (d disk) message(name string) string {
	return fmt.Sprintf("the disk of %s is nearly full (%d MiB free, %d MiB wanted)", name, d.Free>>20, d.Wanted>>20)
}

// space is what this node knows of its own disk, and what follows for the commands that it appends as leader.
type space struct {
	// refusal answers commands that need space while this node leads; nil if there is space. Every command loads it.
	refusal atomic.Pointer[command.Result]
	last    atomic.Pointer[disk]
	mu      sync.Mutex // one weighing at a time
}

func (s *space) own() disk {
	if d := s.last.Load(); d != nil {
		return *d
	}
	return disk{}
}

// watchDisk runs until the node ends.
func (n *Node) watchDisk() {
	if n.cfg.MinFreeDisk < 0 {
		return
	}
	tick := time.NewTicker(diskInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.measureDisk()
		case <-n.ctx.Done():
			return
		}
	}
}

// measureDisk looks at the free space of this node. Without an answer the last one stands.
func (n *Node) measureDisk() {
	if n.cfg.MinFreeDisk < 0 {
		return
	}
	s, err := n.cfg.FreeDisk()
	if err != nil {
		n.log.Debug("the free space of the disk is not known", "error", err)
		return
	}
	d := n.space.own().next(s, n.cfg.MinFreeDisk)
	n.space.last.Store(&d)
	n.weighDisks()
}

// weighDisks raises and clears the alarms of disks. A leader refuses commands that need space while it has none itself, or while
// the voters that answer and have space are no majority. One full follower stops nothing.
func (n *Node) weighDisks() {
	n.space.mu.Lock()
	defer n.space.mu.Unlock()
	own, self := n.space.own(), n.serverID()
	n.noteDisk(self, own)
	v := n.views.get()
	if !v.leading || !v.ready {
		n.space.refusal.Store(nil)
		n.dropDiskAlarms(func(id string) bool { return id == self })
		return
	}
	var low, missing []string
	voters, servers := 0, n.servers()
	for _, s := range servers {
		id, d, away := string(s.ID), own, false
		if id != self {
			p := n.reach.peer(id)
			d, away = n.polled(id).disk, p.missing(time.Now())
			n.noteDisk(id, d)
		}
		switch {
		case s.Suffrage != raft.Voter:
			continue
		case d.Low:
			low = append(low, d.message(nameOf(id)))
		case away:
			missing = append(missing, nameOf(id)+" cannot be reached")
		}
		voters++
	}
	n.dropDiskAlarms(func(id string) bool {
		return slices.ContainsFunc(servers, func(s raft.Server) bool { return string(s.ID) == id })
	})
	if !own.Low && (len(low) == 0 || voters-len(low)-len(missing) > voters/2) {
		n.space.refusal.Store(nil)
		return
	}
	n.space.refusal.Store(refusal(command.CodeDiskLow, "writes that need space are refused: %s; delete replicas, or make room on the disk",
		strings.Join(append(low, missing...), ", ")))
}

// noteDisk raises or clears the alarm of a member's disk.
func (n *Node) noteDisk(id string, d disk) {
	if !d.Low {
		n.clear(AlarmDisk, id)
		return
	}
	n.raise(AlarmDisk, id, d.message(nameOf(id))+": make room on it, or enlarge it")
}

// dropDiskAlarms forgets the alarms of members that this node no longer looks after.
func (n *Node) dropDiskAlarms(keep func(id string) bool) {
	for _, a := range n.alarms.list() {
		if a.Reason == AlarmDisk && !keep(a.Member) {
			n.clear(AlarmDisk, a.Member)
		}
	}
}

package cluster

import (
	"sync/atomic"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"dapple/command"
)

// disks are the file systems of a fleet, each of 100 MiB with a watermark of 10 MiB.
type disks struct {
	*fleet
	free map[string]*atomic.Uint64
}

func newDisks(t *testing.T, names ...string) *disks {
	t.Helper()
	d := &disks{fleet: newFleet(t, names...), free: map[string]*atomic.Uint64{}}
	for _, name := range names {
		d.free[name] = &atomic.Uint64{}
		d.set(50, name)
	}
	d.tweak = func(c *Config) {
		free := d.free[c.NodeID]
		c.MinFreeDisk = 10 << 20
		c.FreeDisk = func() (DiskSpace, error) { return DiskSpace{Free: free.Load(), Size: 100 << 20}, nil }
	}
	d.startAll()
	d.voters(len(names))
	return d
}

// set leaves some nodes so many MiB.
func (d *disks) set(free uint64, names ...string) {
	for _, name := range names {
		d.free[name].Store(free << 20)
	}
}

// write proposes a command that needs space at a node.
func (d *disks) write(name string) command.Result {
	d.t.Helper()
	r, err := d.nodes[name].Propose(deadline(d.t), command.TypeAddReplicas, "root", []byte("added"))
	require.NoError(d.t, err)
	return r
}

// refuses waits until the leader refuses, and requires that it does so at every node while space can be freed and reads go on.
func (d *disks) refuses(texts ...string) {
	d.t.Helper()
	leader := d.nodes[d.leader()]
	eventually(d.t, func() bool { return leader.space.refusal.Load() != nil }, "writes are not refused")
	for _, name := range d.names {
		before := leader.machine.AppliedIndex()
		r := d.write(name)
		require.Equal(d.t, command.CodeDiskLow, r.Code, r.Message)
		require.Zero(d.t, r.Index, "it was appended")
		for _, text := range texts {
			require.Contains(d.t, r.Message, text)
		}
		deleted, err := d.nodes[name].Propose(deadline(d.t), command.TypeDeleteReplicas, "root", []byte("deleted"))
		require.NoError(d.t, err)
		require.Equal(d.t, command.CodeOK, deleted.Code, deleted.Message)
		require.Greater(d.t, deleted.Index, before)
		_, err = d.nodes[name].ReadIndex(deadline(d.t))
		require.NoError(d.t, err)
		d.ready(name)
	}
	var refused dto.Metric
	require.NoError(d.t, leader.metrics.noSpace.Write(&refused))
	require.Positive(d.t, refused.GetCounter().GetValue())
}

// takes waits until the leader takes writes again.
func (d *disks) takes() {
	d.t.Helper()
	leader := d.nodes[d.leader()]
	eventually(d.t, func() bool { return leader.space.refusal.Load() == nil }, "writes are refused still")
	for _, name := range d.names {
		r := d.write(name)
		require.Equal(d.t, command.CodeOK, r.Code, r.Message)
	}
}

// alarmed waits until so many members have the alarm, as every node says.
func (d *disks) alarmed(count int) {
	d.t.Helper()
	for _, name := range d.names {
		eventually(d.t, func() bool {
			seen := 0
			for _, a := range d.nodes[name].Status(d.t.Context()).Alarms {
				if a.Reason == AlarmDisk {
					seen++
				}
			}
			return seen == count
		}, "not %d alarms at %s", count, name)
	}
}

// A leader whose disk is nearly full refuses what needs space, whichever node it came from, until it has some again.
func TestDiskOfTheLeaderIsLow(t *testing.T) {
	t.Parallel()
	d := newDisks(t, "a", "b", "c")
	leader := d.leader()
	d.takes()
	d.set(9, leader)
	d.refuses("the disk of "+leader+" is nearly full (9 MiB free, 10 MiB wanted)", "delete replicas")
	d.alarmed(1)
	d.set(11, leader) // above the watermark, and not by enough
	eventually(t, func() bool { return d.nodes[leader].space.own().Free == 11<<20 }, "the disk is not looked at")
	d.refuses(leader)
	d.set(13, leader)
	d.takes()
	d.alarmed(0)
}

// One follower whose disk is nearly full raises an alarm; two of three stop writes.
func TestDisksOfFollowersAreLow(t *testing.T) {
	t.Parallel()
	d := newDisks(t, "a", "b", "c")
	followers := d.followers()
	d.set(5, followers[0])
	d.alarmed(1)
	d.takes()
	require.Equal(t, 1, d.nodes[d.leader()].alarms.count(AlarmDisk))
	d.set(5, followers...)
	d.refuses("the disk of "+followers[0], "the disk of "+followers[1])
	d.alarmed(2)
	d.set(50, followers[1])
	d.takes()
	d.alarmed(1)
	d.set(50, followers...)
	d.alarmed(0)
}

// With one of three nodes down, the two others are needed: the disk of one of them counts.
func TestDiskOfANeededFollowerIsLow(t *testing.T) {
	t.Parallel()
	d := newDisks(t, "a", "b", "c")
	followers := d.followers()
	d.stop(followers[1])
	d.names = []string{d.leader(), followers[0]}
	d.set(5, followers[0])
	d.refuses("the disk of "+followers[0], followers[1]+" cannot be reached")
	d.set(50, followers[0])
	d.takes()
}

func TestWatermark(t *testing.T) {
	var zero disk
	tib := uint64(1) << 40
	require.Equal(t, disk{Free: tib / 2, Wanted: minFreeMost}, zero.next(DiskSpace{tib / 2, tib}, 0))
	require.Equal(t, disk{Free: 4, Wanted: 5, Low: true}, zero.next(DiskSpace{4, 100}, 0))
	low := zero.next(DiskSpace{99, 1000}, 100)
	require.True(t, low.Low)
	require.True(t, low.next(DiskSpace{124, 1000}, 100).Low)
	require.False(t, low.next(DiskSpace{125, 1000}, 100).Low)
	require.False(t, zero.next(DiskSpace{100, 1000}, 100).Low)

	s, err := freeDisk(t.TempDir())
	require.NoError(t, err)
	require.Positive(t, s.Size)
	require.LessOrEqual(t, s.Free, s.Size)
	_, err = freeDisk("/nowhere/at/all")
	require.Error(t, err)
}

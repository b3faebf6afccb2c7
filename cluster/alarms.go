package cluster

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Reasons of an alarm. Each is a label of dapple_cluster_alarms.
const (
	// AlarmReplication is a member that answers but takes no entries, although some wait for it.
	AlarmReplication = "replication_stalled"
	// AlarmDisk is a member whose data folder is on a file system that is nearly full.
	AlarmDisk = "disk_low"
	// AlarmDiverged is a member that has stopped because it has entries that the cluster has lost.
	AlarmDiverged = "diverged"
	// AlarmRolledBack is a member that has less than it had acknowledged: its folder is an older copy.
	AlarmRolledBack = "rolled_back"
)

// alarmReasons are all of them, for the metric.
var alarmReasons = []string{AlarmState, AlarmReplication, AlarmDisk, AlarmDiverged, AlarmRolledBack}

// Alarm is a fault of a member that an operator has to look at.
type Alarm struct {
	Reason string `json:"reason"`
	// Member is the server id of the member.
	Member  string    `json:"member"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// alarms holds what this node raises. The zero value is ready.
type alarms struct {
	mu  sync.Mutex
	all []Alarm // one for each reason and member
}

func (a *alarms) find(reason, member string) int {
	return slices.IndexFunc(a.all, func(x Alarm) bool { return x.Reason == reason && x.Member == member })
}

// raise begins an alarm, or renews its message, and reports whether it is news.
func (a *alarms) raise(reason, member, message string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.find(reason, member); i >= 0 {
		a.all[i].Message = message
		return false
	}
	a.all = append(a.all, Alarm{Reason: reason, Member: member, Message: message, Since: time.Now()})
	return true
}

// clear ends an alarm and reports whether there was one.
func (a *alarms) clear(reason, member string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := a.find(reason, member)
	if i < 0 {
		return false
	}
	a.all = slices.Delete(a.all, i, i+1)
	return true
}

// keep drops the alarms of who is no member any more.
func (a *alarms) keep(members []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = slices.DeleteFunc(a.all, func(x Alarm) bool { return !slices.Contains(members, x.Member) })
}

// list returns the alarms in order of members and reasons.
func (a *alarms) list() []Alarm {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Clone(a.all)
	slices.SortFunc(all, func(x, y Alarm) int {
		return cmp.Or(cmp.Compare(x.Member, y.Member), cmp.Compare(x.Reason, y.Reason))
	})
	return all
}

// count returns how many members an alarm is raised for.
func (a *alarms) count(reason string) (members int) {
	for _, x := range a.list() {
		if x.Reason == reason {
			members++
		}
	}
	return members
}

// raise begins an alarm and logs it once.
func (n *Node) raise(reason, member, message string) {
	if n.alarms.raise(reason, member, message) {
		n.log.Error("alarm: "+message, "reason", reason, "member", member)
	}
}

// clear ends an alarm and logs that.
func (n *Node) clear(reason, member string) {
	if n.alarms.clear(reason, member) {
		n.log.Info("alarm is over", "reason", reason, "member", member)
	}
}

// mergeAlarms returns the first list and what only the second has.
func mergeAlarms(first, second []Alarm) []Alarm {
	all := slices.Clone(first)
	for _, x := range second {
		if !slices.ContainsFunc(all, func(y Alarm) bool { return x.Reason == y.Reason && x.Member == y.Member }) {
			all = append(all, x)
		}
	}
	return all
}

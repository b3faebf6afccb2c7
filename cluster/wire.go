package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"

	"dapple/command"
)

// Numbers of the internal calls. They are only ever appended.
const (
	methodHello     = 1  // who are you, and have you a cluster
	methodPledge    = 2  // let me form the cluster
	methodJoin      = 3  // take me in, or know my address
	methodPropose   = 4  // put these commands into the log
	methodPoll      = 5  // how far are you
	methodCommit    = 6  // what is committed
	methodStatus    = 7  // what do you know of the members
	methodConfirm   = 8  // what is your term
	methodReadIndex = 9  // do you lead, and what is committed
	methodNotice    = 10 // I stop, or I have started
	methodRecall    = 11 // what do you remember of me
)

var errWire = errors.New("malformed internal call")

// The body of methodPropose is a count and the commands, as they stand in an entry. Its answer has for each command, in
// order, a byte that tells whether the state machine has answered, and a result: the state machine's, or the code and
// message of why there is none.
const (
	wireFailed   = 0
	wireAnswered = 1
)

func encodeCommands(commands []command.Command) []byte {
	size := binary.MaxVarintLen64
	for i := range commands {
		size += command.SizeOf(&commands[i])
	}
	b := binary.AppendUvarint(make([]byte, 0, size), uint64(len(commands)))
	for i := range commands {
		b = command.AppendCommand(b, &commands[i])
	}
	return b
}

func decodeCommands(b []byte) ([]command.Command, error) {
	count, b, err := wireCount(b)
	if err != nil {
		return nil, err
	}
	commands := make([]command.Command, 0, count)
	for range count {
		var c command.Command
		if c, b, err = command.ParseCommand(b); err != nil {
			return nil, err
		}
		commands = append(commands, c)
	}
	return commands, wireEnd(b)
}

// proposed is the outcome of one forwarded command.
type proposed struct {
	result command.Result
	err    *Error // in place of a result
}

func encodeProposed(all []proposed) []byte {
	b := binary.AppendUvarint(nil, uint64(len(all)))
	for _, p := range all {
		if p.err != nil {
			b = command.AppendResult(append(b, wireFailed), command.Result{Code: p.err.Code, Message: p.err.Error()})
			continue
		}
		b = command.AppendResult(append(b, wireAnswered), p.result)
	}
	return b
}

func decodeProposed(b []byte) ([]proposed, error) {
	count, b, err := wireCount(b)
	if err != nil {
		return nil, err
	}
	all := make([]proposed, 0, count)
	for range count {
		if len(b) == 0 {
			return nil, errWire
		}
		answered := b[0] == wireAnswered
		var r command.Result
		if r, b, err = command.ParseResult(b[1:]); err != nil {
			return nil, err
		}
		p := proposed{result: r}
		if !answered {
			p = proposed{err: &Error{Code: r.Code, Message: r.Message}}
		}
		all = append(all, p)
	}
	return all, wireEnd(b)
}

// wireCount reads a count that cannot be more than the bytes that follow.
func wireCount(b []byte) (int, []byte, error) {
	count, k := binary.Uvarint(b)
	if k <= 0 || count > uint64(len(b)) {
		return 0, nil, errWire
	}
	return int(count), b[k:], nil
}

func wireEnd(b []byte) error {
	if len(b) != 0 {
		return fmt.Errorf("%w: %d bytes too many", errWire, len(b))
	}
	return nil
}

// The bodies of methodConfirm and methodReadIndex are empty. A voter answers with its term and its server id, since another may have
// come to its address; a leader with its commit index.

// The other calls are rare, and small JSON objects.

type helloMessage struct {
	Name     string `json:"name"`
	ServerID string `json:"server_id"`
	Address  string `json:"address"`
	// Cluster tells clusters apart and is not the cluster's id, which only members learn. Earlier versions send the id. It
	// is empty for a node without state.
	Cluster string `json:"cluster,omitempty"`
	// Peers are the addresses that the sender would ask.
	Peers []string `json:"peers,omitempty"`
}

type pledgeMessage struct {
	Candidate string `json:"candidate"`
	Granted   bool   `json:"granted,omitempty"`
	To        string `json:"to,omitempty"` // the candidate that has the pledge
}

type joinMessage struct {
	Name     string `json:"name"`
	ServerID string `json:"server_id"`
	Address  string `json:"address"`
	// HasState tells that the node takes part in Raft already and only makes its address known.
	HasState bool `json:"has_state,omitempty"`
	// Run tells the process that asks from another with a copy of its folder; earlier versions do not tell it.
	Run string `json:"run,omitempty"`
	// Token is the consent of an administrator.
	Token string `json:"token,omitempty"`
	// Passed tells that a follower has passed the call on to its leader: it is not passed on again.
	Passed bool `json:"passed,omitempty"`
	// Proof is what the member that was asked first saw of the node. It counts only if a member has passed the call on.
	Proof joinProof `json:"proof,omitzero"`
}

// joinProof is what the connection of a node that asks to join has proved.
type joinProof struct {
	// Self tells that the node is already the member that it says it is.
	Self bool `json:"self,omitempty"`
	// Listed tells that its certificate is for a host that the member knows, or has a configured name.
	Listed bool `json:"listed,omitempty"`
	// Covers are the addresses of members, and its own, that its certificate is for.
	Covers []string `json:"covers,omitempty"`
}

type joinAnswer struct {
	Cluster string `json:"cluster,omitempty"`
	// Members are the addresses of the members.
	Members []string `json:"members,omitempty"`
	// Forming is how many voters the cluster waits for before it takes writes for the first time; 0 if it has had them.
	Forming int `json:"forming,omitempty"`
	// Refused says why the node may never join as it is.
	Refused string `json:"refused,omitempty"`
	// Duplicate tells that it is refused because another process answers with its server id.
	Duplicate bool `json:"duplicate,omitempty"`
	// Renew tells that the node has lost what it acknowledged as this incarnation, and has to come as a new one.
	Renew bool `json:"renew,omitempty"`
}

// recallQuestion is what a member that starts asks all others before it runs Raft, and later while it has no leader.
type recallQuestion struct {
	ServerID string `json:"server_id"`
	Run      string `json:"run"`
	// Held is what the member has.
	Held mark `json:"held"`
	// Last is the end of its log.
	Last *entryMark `json:"last,omitempty"`
	// Marks are what it remembers of the others.
	Marks map[string]mark `json:"marks,omitempty"`
}

type recallAnswer struct {
	ServerID string `json:"server_id"`
	Run      string `json:"run"`
	// Had is what the member is known to have acknowledged.
	Had mark `json:"had,omitzero"`
	// Voters is how many voters the membership has.
	Voters int `json:"voters,omitempty"`
	// Address is where the membership has the member, empty where that is not known.
	Address string `json:"address,omitempty"`
	// Last is the end of the log of a member that has a leader.
	Last *entryMark `json:"last,omitempty"`
	// Contradicts tells that this log has another entry than the question's last, of the same index and term.
	Contradicts bool `json:"contradicts,omitempty"`
	// Elsewhere is the address at which another process answers with its server id.
	Elsewhere string `json:"elsewhere,omitempty"`
}

// pollQuestion is the body of the leader's polls; those of earlier versions, and of nodes without a leader, have none.
type pollQuestion struct {
	// Digest is the index at which the member is asked for the digest of its state, 0 for none.
	Digest uint64 `json:"digest,omitempty"`
	// Agreed is the digest at that index on which a majority of voters agrees; empty as long as that is not known.
	Agreed string `json:"agreed,omitempty"`
	// Marks are what the leader knows all members to have acknowledged, by server id.
	Marks map[string]mark `json:"marks,omitempty"`
}

type pollMessage struct {
	ServerID string `json:"server_id"`
	Applied  uint64 `json:"applied"`
	// Run tells this process from others with a copy of its folder; members of earlier versions do not tell it.
	Run string `json:"run,omitempty"`
	// Features is the newest feature level that the member knows; members of earlier versions do not tell it.
	Features uint64 `json:"features,omitempty"`
	// Digest is that of the member's state at the index that was asked for, empty as long as it has none.
	Digest string `json:"digest,omitempty"`
	// Disk is the file system of the member's data folder; members of earlier versions do not tell it.
	Disk disk `json:"disk,omitzero"`
}

// noticeMessage has an empty object for an answer.
type noticeMessage struct {
	ServerID string `json:"server_id"`
	Stopping bool   `json:"stopping,omitempty"` // else: started
	// Alarm and Message say why a member stops that an operator has to look at.
	Alarm   string `json:"alarm,omitempty"`
	Message string `json:"message,omitempty"`
}

type commitMessage struct {
	Commit uint64 `json:"commit"`
	// Missing are the members that the leader cannot reach.
	Missing []Missing `json:"missing,omitempty"`
	// NotReady says why the cluster does not take writes yet.
	NotReady string `json:"not_ready,omitempty"`
}

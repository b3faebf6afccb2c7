package node

import (
	"context"
	"errors"
	"time"

	"dapple/catalogue"
	"dapple/cluster"
	"dapple/command"
	"dapple/fsm"
	"dapple/httpapi"
)

// machine is the state machine as package cluster wants to see it.
type machine struct{ *fsm.Machine }

// Registered implements cluster.StateMachine.
func (m machine) Registered() ([]*command.RegisterSession, error) {
	members, err := m.Members()
	if err != nil {
		return nil, err
	}
	sessions := make([]*command.RegisterSession, len(members))
	for i, member := range members {
		sessions[i] = &command.RegisterSession{
			Node: member.Node, ServerId: member.ServerID, HttpAddress: member.HTTPAddress, Version: member.Version,
		}
	}
	return sessions, nil
}

// Check implements cluster.Config.Check.
func (m machine) Check(c *command.Command) *cluster.Error {
	err := m.Machine.Check(c)
	var refusal *catalogue.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return &cluster.Error{Code: refusal.Code, Message: refusal.Message}
	default:
		return &cluster.Error{Code: command.CodeFailed, Message: "the command could not be checked: " + err.Error(), Err: err}
	}
}

// reader is the state machine as package httpapi wants to see it.
type reader struct{ *fsm.Machine }

// View implements httpapi.Reader.
func (r reader) View() (httpapi.View, error) {
	v, err := r.Machine.View()
	if err != nil {
		return nil, err
	}
	return view{v}, nil
}

// view is a view of the state machine as package httpapi wants to see it.
type view struct{ *fsm.View }

// Close implements httpapi.View. What closing a read finds wrong has latched the state machine already.
func (v view) Close() { _ = v.View.Close() }

// proposer is the cluster as package httpapi wants to see it.
type proposer struct{ *cluster.Node }

// codedError carries the code of a *cluster.Error as a method.
type codedError struct{ cause *cluster.Error }

func (e codedError) Error() string { return e.cause.Error() }

// Code implements what package httpapi looks for in an error.
func (e codedError) Code() command.Code { return e.cause.Code }

// Unwrap keeps the chain.
func (e codedError) Unwrap() error { return e.cause }

// Propose implements httpapi.Proposer.
func (p proposer) Propose(ctx context.Context, t command.Type, issuer string, payload []byte) (command.Result, error) {
	r, err := p.Node.Propose(ctx, t, issuer, payload)
	return r, withCode(err)
}

// Admit implements httpapi.Proposer.
func (p proposer) Admit(requests, bytes int) error { return withCode(p.Node.Admit(requests, bytes)) }

// withCode returns an error with its code as a method, where it has one.
func withCode(err error) error {
	var known *cluster.Error
	if errors.As(err, &known) {
		return codedError{known}
	}
	return err
}

// freshness is the cluster as package httpapi wants to see it for reads.
type freshness struct{ *cluster.Node }

// ReadIndex implements httpapi.Freshness.
func (f freshness) ReadIndex(ctx context.Context) (uint64, error) {
	index, err := f.Node.ReadIndex(ctx)
	return index, withCode(err)
}

// HeardWithin implements httpapi.Freshness.
func (f freshness) HeardWithin(ctx context.Context, limit time.Duration) (uint64, error) {
	index, err := f.Node.HeardWithin(ctx, limit)
	return index, withCode(err)
}

// operator answers the operator's endpoints.
type operator struct {
	cluster *cluster.Node
	machine *fsm.Machine
}

// Ready implements httpapi.Cluster.
func (o operator) Ready(ctx context.Context) ([]httpapi.MissingMember, error) {
	missing, err := o.cluster.ReadyWithout(ctx)
	all := make([]httpapi.MissingMember, len(missing))
	for i, m := range missing {
		all[i] = httpapi.MissingMember{Name: m.Name, Since: m.Since}
	}
	return all, err
}

// Digest implements httpapi.Cluster.
func (o operator) Digest(ctx context.Context, index uint64) (string, error) {
	return o.machine.WaitDigest(ctx, index)
}

// Status implements httpapi.Cluster.
func (o operator) Status(ctx context.Context) httpapi.ClusterStatus {
	s := o.cluster.Status(ctx)
	status := httpapi.ClusterStatus{
		NodeID: s.NodeID, ClusterID: s.ClusterID, Version: s.Version, Role: s.Role,
		Term: s.Term, CommitIndex: s.Commit, AppliedIndex: s.Applied,
		Members: make([]httpapi.Member, len(s.Members)),
	}
	if s.LeaderID != "" {
		status.Leader = &httpapi.ClusterLeader{ID: s.LeaderID, HTTP: s.LeaderHTTP}
	}
	for i, m := range s.Members {
		status.Members[i] = httpapi.Member{ID: m.ID, Name: m.Name, Address: m.Address, HTTP: m.HTTP, Role: m.Role, Reachable: m.Reachable}
		if m.Reachable {
			status.Members[i].Lag = &s.Members[i].Lag
		}
		if !m.UnreachableSince.IsZero() {
			status.Members[i].SetUnreachable(m.UnreachableSince)
		}
	}
	status.Alarms = make([]httpapi.Alarm, len(s.Alarms))
	for i, a := range s.Alarms {
		status.Alarms[i] = httpapi.NewAlarm(a.Reason, a.Member, a.Message, a.Since)
	}
	return status
}

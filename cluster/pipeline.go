package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// pipeline is a raft.AppendPipeline that ends with the first answer that is no success.
//
// Raft stops taking answers from a pipeline at that point, but its sender may already be inside AppendEntries, or go
// there once more. The pipeline of raft.NetworkTransport then waits for room that only further answers would make, and
// replication to this peer stands still until the leader changes. Closing the pipeline ends that wait.
type pipeline struct {
	raft.AppendPipeline // of raft.NetworkTransport

	answers  chan raft.AppendFuture
	answered func(f raft.AppendFuture) // called with each answer before Raft sees it
	closed   func(p *pipeline)         // called once, when Raft closes the pipeline
	done     chan struct{}
	once     sync.Once
	wg       sync.WaitGroup
}

var _ raft.AppendPipeline = (*pipeline)(nil)

func newPipeline(inner raft.AppendPipeline, answered func(f raft.AppendFuture), closed func(p *pipeline)) *pipeline {
	p := &pipeline{
		AppendPipeline: inner, answers: make(chan raft.AppendFuture), answered: answered, closed: closed, done: make(chan struct{}),
	}
	p.wg.Go(p.pass)
	return p
}

// pass hands answers to Raft until the pipeline is closed or an answer is no success.
func (p *pipeline) pass() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			p.answered(f)
			select {
			case p.answers <- f:
			case <-p.done:
				return
			}
			if !succeeded(f) {
				_ = p.cut()
				return
			}
		case <-p.done:
			return
		}
	}
}

// succeeded tells whether a peer has taken the entries of an answered request. A request that failed has an empty answer,
// which is what Raft judges by too.
func succeeded(f raft.AppendFuture) bool {
	r := f.Response()
	return r.Success && r.Term <= f.Request().Term
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// cut ends what waits in AppendEntries and lets nothing more in. Raft closes the pipeline when it finds out.
func (p *pipeline) cut() error { return p.AppendPipeline.Close() }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	err := p.cut()
	p.once.Do(func() {
		close(p.done)
		p.closed(p)
	})
	p.wg.Wait()
	return err
}

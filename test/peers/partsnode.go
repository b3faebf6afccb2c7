package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/gin-gonic/gin"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	partsGroup    = 256 // proposals in an entry at most
	partsInFlight = 2
	partsQueue    = 4096
	partsTimeout  = 10 * time.Second
)

// partsNode is the parts that Dapple is made of, gin, Raft, its log store and Pebble, with none of its logic: no accounts, no checks, no
// sessions, no snapshots of a state, one record and one index key a file, and writes at the leader only. What it does is what the parts allow.
type partsNode struct {
	raft  *raft.Raft
	db    *pebble.DB
	queue chan partsWrite
}

// partsWrite waits for its part of an entry.
type partsWrite struct {
	data []byte
	done chan error
}

// partsFile is a file of a request, and what a read answers.
type partsFile struct {
	Scope   string `json:"scope"`
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	Adler32 string `json:"adler32"`
	MD5     string `json:"md5"`
}

// partsBody is the body of a write.
type partsBody struct {
	RSE   string      `json:"rse"`
	Files []partsFile `json:"files"`
}

// serveParts is a node of the parts until ctx ends: HTTP at addresses[0], Raft at addresses[1]. The first node of the cluster names
// the addresses of the others' Raft after these.
func serveParts(ctx context.Context, folder string, addresses []string) error {
	db, err := pebble.Open(filepath.Join(folder, "state"), &pebble.Options{DisableWAL: true, MemTableSize: 64 << 20, Logger: noLogger{}})
	if err != nil {
		return err
	}
	store, err := raftboltdb.New(raftboltdb.Options{
		Path: filepath.Join(folder, "raft.db"), BoltOptions: &bbolt.Options{NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
	})
	if err != nil {
		return err
	}
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(addresses[1])
	config.Logger = hclog.NewNullLogger()
	config.BatchApplyCh = true
	transport, err := raft.NewTCPTransportWithLogger(addresses[1], nil, 3, partsTimeout, config.Logger)
	if err != nil {
		return err
	}
	n := &partsNode{db: db, queue: make(chan partsWrite, partsQueue)}
	if n.raft, err = raft.NewRaft(config, partsMachine{db}, store, store, raft.NewInmemSnapshotStore(), transport); err != nil {
		return err
	}
	if len(addresses) > 2 {
		var members raft.Configuration
		for _, a := range addresses[1:] {
			members.Servers = append(members.Servers, raft.Server{ID: raft.ServerID(a), Address: raft.ServerAddress(a)})
		}
		if err := n.raft.BootstrapCluster(members).Error(); err != nil {
			return err
		}
	}
	for range partsInFlight {
		go n.propose(ctx)
	}
	err = n.serve(ctx, addresses[0])
	return errors.Join(err, n.raft.Shutdown().Error(), db.Close(), store.Close())
}

type noLogger struct{}

func (noLogger) Infof(string, ...any)  {}
func (noLogger) Errorf(string, ...any) {}
func (noLogger) Fatalf(format string, args ...any) {
	pebble.DefaultLogger.Fatalf(format, args...)
}

func (n *partsNode) serve(ctx context.Context, address string) error {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/ready", n.ready)
	engine.POST("/files", n.write)
	engine.GET("/files/:scope/:name", n.read)
	return serveEngine(ctx, address, engine)
}

// ready answers 200 where there is a leader.
func (n *partsNode) ready(c *gin.Context) {
	if address, _ := n.raft.LeaderWithID(); address == "" {
		c.Status(http.StatusServiceUnavailable)
	}
}

func (n *partsNode) write(c *gin.Context) {
	var body partsBody
	if err := c.ShouldBindJSON(&body); err != nil {
		c.String(http.StatusBadRequest, "%v", err)
		return
	}
	var data []byte
	for _, f := range body.Files {
		data = appendField(appendField(data, f.Scope+":"+f.Name), body.RSE)
		record, err := json.Marshal(f)
		if err != nil {
			c.String(http.StatusInternalServerError, "%v", err)
			return
		}
		data = appendField(data, string(record))
	}
	w := partsWrite{data: data, done: make(chan error, 1)}
	n.queue <- w
	if err := <-w.done; err != nil {
		c.String(http.StatusServiceUnavailable, "%v", err)
		return
	}
	c.JSON(http.StatusCreated, struct{}{})
}

func (n *partsNode) read(c *gin.Context) {
	value, closer, err := n.db.Get([]byte("f" + c.Param("scope") + ":" + c.Param("name")))
	if err != nil {
		c.String(http.StatusNotFound, "%v", err)
		return
	}
	c.Data(http.StatusOK, "application/json", value)
	_ = closer.Close()
}

// propose makes entries of what waits.
func (n *partsNode) propose(ctx context.Context) {
	for {
		var group []partsWrite
		select {
		case w := <-n.queue:
			group = append(group, w)
		case <-ctx.Done():
			return
		}
		data := group[0].data
		for len(group) < partsGroup && len(n.queue) > 0 {
			w := <-n.queue
			group, data = append(group, w), append(data, w.data...)
		}
		err := n.raft.Apply(data, partsTimeout).Error()
		for _, w := range group {
			w.done <- err
		}
	}
}

func appendField(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// partsMachine writes what entries say into Pebble.
type partsMachine struct{ db *pebble.DB }

// ApplyBatch implements raft.BatchingFSM.
func (m partsMachine) ApplyBatch(logs []*raft.Log) []any {
	batch := m.db.NewBatch()
	answers := make([]any, len(logs))
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			answers[i] = m.put(batch, l.Data)
		}
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		answers[0] = err
	}
	return answers
}

func (m partsMachine) put(batch *pebble.Batch, data []byte) error {
	field := func() []byte {
		size, n := binary.Uvarint(data)
		value := data[n : n+int(size)]
		data = data[n+int(size):]
		return value
	}
	for len(data) > 0 {
		name, rse, record := field(), field(), field()
		if err := batch.Set(append([]byte{'f'}, name...), record, nil); err != nil {
			return err
		}
		if err := batch.Set(append(append([]byte{'r'}, rse...), name...), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Apply implements raft.FSM.
func (m partsMachine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// Snapshot implements raft.FSM.
func (partsMachine) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("not kept") }

// Restore implements raft.FSM.
func (partsMachine) Restore(io.ReadCloser) error { return errors.New("not kept") }

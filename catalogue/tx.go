package catalogue

// View is a consistent, ordered view of the catalogue's keys. Keys and values belong to the view: they are valid until the
// next call on it (Get) or until visit returns (Scan), and are never to be written to. An error is a failure of the
// store, never of the caller's data; a caller passes it on unchanged.
//
// A View is used by one goroutine at a time.
type View interface {
	// Get returns the value of a key, and false where the key does not exist.
	Get(key []byte) (value []byte, found bool, err error)
	// Scan visits every key in [low, high) in ascending order until visit returns false or an error. A visit may call Get
	// and start another Scan.
	Scan(low, high []byte, visit func(key, value []byte) (more bool, err error)) error
}

// Tx is a View that a command writes to; its own writes are seen by its later reads. Put and Delete cannot fail: the state
// machine keeps what is written aside and commits it with the entry. Key and value are copied.
//
// A command first checks, only reading, and then writes: once it has written it may no longer be refused. A command that
// returns an error has its writes dropped by the state machine all the same, and tests treat that as a fault.
type Tx interface {
	View
	Put(key, value []byte)
	Delete(key []byte)
	// Note adds an event to the change feed and returns its revision, which is also the version of the record that the event
	// is about. It is a write: a command notes what it does in the write phase, in the order in which it does it.
	Note(at Stamp, c Change) (revision uint64)
}

// Stamp is what the state machine tells a command about itself. All of it is the same on every node.
type Stamp struct {
	// Revision is that of the command's first event, which each further one counts on from; a command without events takes it
	// alone. Records carry the revision that last changed them as their version.
	Revision uint64
	// Time is the log time in microseconds since 1970-01-01 UTC; it grows with every entry.
	Time int64
	// Issuer is the account on whose behalf the command is; empty for the cluster itself.
	Issuer string
}

package fsm

import (
	"errors"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// errBlown is what every change of the disk comes to once the fuse has blown.
var errBlown = errors.New("the store has failed: nothing more is written")

// fuse is a file system that stops writing for good when it blows. Where Pebble cannot tell whether its manifest reached
// the disk it expects to be killed at once: if it went on until the process has been stopped in order, it would write
// changes into the manifest that contradict the doubtful one, or remove files that the disk still refers to.
type fuse struct {
	vfs.FS
	blown *atomic.Bool
	// lost, where it is set, gets the error of syncing a folder, and the caller gets none: Pebble would panic.
	lost func(error)
}

func newFuse(fs vfs.FS) *fuse { return &fuse{FS: fs, blown: &atomic.Bool{}} }

// forPebble returns the same fuse for the hands of Pebble; lost is to blow it.
func (f *fuse) forPebble(lost func(error)) *fuse { return &fuse{FS: f.FS, blown: f.blown, lost: lost} }

func (f *fuse) err() error {
	if f.blown.Load() {
		return errBlown
	}
	return nil
}

// file wraps a file that may be written to.
func (f *fuse) file(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &fuseFile{File: file, fuse: f}, nil
}

// Unwrap implements vfs.FS.
func (f *fuse) Unwrap() vfs.FS { return f.FS }

// Create implements vfs.FS.
func (f *fuse) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.file(f.FS.Create(name, category))
}

// OpenReadWrite implements vfs.FS.
func (f *fuse) OpenReadWrite(name string, category vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.file(f.FS.OpenReadWrite(name, category, o...))
}

// ReuseForWrite implements vfs.FS.
func (f *fuse) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.file(f.FS.ReuseForWrite(oldname, newname, category))
}

// OpenDir implements vfs.FS.
func (f *fuse) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &fuseDir{File: dir, fuse: f}, nil
}

// Link implements vfs.FS.
func (f *fuse) Link(oldname, newname string) error {
	return f.unlessBlown(func() error { return f.FS.Link(oldname, newname) })
}

// Remove implements vfs.FS.
func (f *fuse) Remove(name string) error {
	return f.unlessBlown(func() error { return f.FS.Remove(name) })
}

// RemoveAll implements vfs.FS.
func (f *fuse) RemoveAll(name string) error {
	return f.unlessBlown(func() error { return f.FS.RemoveAll(name) })
}

// Rename implements vfs.FS.
func (f *fuse) Rename(oldname, newname string) error {
	return f.unlessBlown(func() error { return f.FS.Rename(oldname, newname) })
}

// MkdirAll implements vfs.FS.
func (f *fuse) MkdirAll(dir string, perm os.FileMode) error {
	return f.unlessBlown(func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f *fuse) unlessBlown(change func() error) error {
	if err := f.err(); err != nil {
		return err
	}
	return change()
}

// fuseFile is a file of a fuse.
type fuseFile struct {
	vfs.File
	fuse *fuse
}

// Write implements vfs.File.
func (f *fuseFile) Write(b []byte) (int, error) {
	if err := f.fuse.err(); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// WriteAt implements vfs.File.
func (f *fuseFile) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.fuse.err(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(b, offset)
}

// Sync implements vfs.File.
func (f *fuseFile) Sync() error { return f.fuse.unlessBlown(f.File.Sync) }

// SyncData implements vfs.File.
func (f *fuseFile) SyncData() error { return f.fuse.unlessBlown(f.File.SyncData) }

// SyncTo implements vfs.File.
func (f *fuseFile) SyncTo(length int64) (fullSync bool, err error) {
	if err := f.fuse.err(); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}

// fuseDir is a folder of a fuse.
type fuseDir struct {
	vfs.File
	fuse *fuse
}

// Sync implements vfs.File.
func (d *fuseDir) Sync() error {
	err := d.fuse.unlessBlown(d.File.Sync)
	if err != nil && d.fuse.lost != nil {
		d.fuse.lost(err)
		return nil
	}
	return err
}

package fsm

import (
	"errors"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The state holds password hashes and signing seeds: nobody but the user that runs the node may read it.
const (
	privateFolder = 0o700
	privateFile   = 0o600
)

// privateFS is the disk with files and folders that are the owner's alone, whatever the umask: Pebble makes both for all.
type privateFS struct{ vfs.FS }

// Unwrap implements vfs.FS.
func (f privateFS) Unwrap() vfs.FS { return f.FS }

// MkdirAll implements vfs.FS.
func (f privateFS) MkdirAll(dir string, _ os.FileMode) error {
	return f.FS.MkdirAll(dir, privateFolder)
}

// Create implements vfs.FS.
func (f privateFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return private(f.FS.Create(name, category))
}

// OpenReadWrite implements vfs.FS.
func (f privateFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return private(f.FS.OpenReadWrite(name, category, o...))
}

// ReuseForWrite implements vfs.FS.
func (f privateFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return private(f.FS.ReuseForWrite(oldname, newname, category))
}

// Lock implements vfs.FS.
func (f privateFS) Lock(name string) (io.Closer, error) {
	lock, err := f.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, privateFile); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// private makes a file that was opened the owner's alone.
func private(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	if on, ok := file.(interface{ Chmod(mode os.FileMode) error }); ok {
		if err := on.Chmod(privateFile); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, nil
}

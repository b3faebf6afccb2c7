package main

import (
	"os"
	"syscall"
)

// syncData makes what was written to a file safe, and of its other properties only what is needed to find that.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

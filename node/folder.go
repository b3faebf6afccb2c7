package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"dapple/internal/halt"
)

// othersBits are the permissions of everybody but the owner of a file or folder.
const othersBits = 0o077

// secureFolder makes the data folder if it is missing, and takes from other users of the host what permissions they have on it
// and on all that is in it: it holds signing seeds and password hashes. It warns if it had to. It returns
// halt.ErrPermission if the process may not change the permissions, since it is not the owner.
func secureFolder(dir string, logger *slog.Logger) error {
	narrowed, err := narrowFolder(dir)
	if err != nil {
		return halt.Classify(fmt.Errorf("data folder: %w", err))
	}
	if narrowed > 0 {
		logger.Warn("other users of the host had access to the data folder; its permissions are narrowed to its owner", "folder", dir, "entries", narrowed)
	}
	return nil
}

func narrowFolder(dir string) (narrowed int, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(dir) // follows no link that leads out of the folder
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return unlessGone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return unlessGone(err)
		}
		if !entry.IsDir() && !info.Mode().IsRegular() || info.Mode().Perm()&othersBits == 0 {
			return nil
		}
		narrowed++
		return unlessGone(root.Chmod(path, info.Mode().Perm()&^othersBits))
	})
	return narrowed, err
}

// unlessGone drops the error of a file that is not there any more: a process that holds the folder, which is found out
// later, may remove files.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

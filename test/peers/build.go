package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	etcdModule  = "go.etcd.io/etcd/server/v3"
	etcdVersion = "v3.7.3"
	etcdMain    = `package main

import (
	"os"

	"` + etcdModule + `/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
`
)

// buildEtcd returns the path of etcd's server, and builds it where the cache does not have it.
func buildEtcd(ctx context.Context) (path string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "dapple-peers")
	binary := filepath.Join(folder, "etcd-"+etcdVersion)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	module, err := os.MkdirTemp(folder, "build-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(module)) }()
	fmt.Fprintf(os.Stderr, "building etcd %s\n", etcdVersion)
	if err := os.WriteFile(filepath.Join(module, "main.go"), []byte(etcdMain), 0o644); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"mod", "init", "peer"}, {"get", etcdModule + "@" + etcdVersion}, {"build", "-trimpath", "-o", "etcd", "."},
	} {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w: %s", args[0], err, out)
		}
	}
	return binary, os.Rename(filepath.Join(module, "etcd"), binary)
}

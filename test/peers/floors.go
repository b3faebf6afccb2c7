package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/internal/httpload"
)

const (
	floorTime  = 5 * time.Second
	helloUsers = 64
	syncedSize = 4 << 10
)

// floor is what no system can be faster than. Its figure is a number of times a second.
type floor struct {
	name    string
	measure func(ctx context.Context, folder string) (float64, error)
}

// machine returns the floors that say how fast a machine is today.
func machine() []floor {
	return []floor{
		{"gin hello world, 64 connections, answers/s", hello},
		{"append of 4 KiB and fdatasync, one thread, times/s", syncs},
	}
}

// serveHello is the least that an HTTP server does, until ctx ends. It is a process of its own, as the systems are.
func serveHello(ctx context.Context, address string) error {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "hello\n") })
	return serveEngine(ctx, address, engine)
}

// serveEngine serves HTTP at an address until ctx ends.
func serveEngine(ctx context.Context, address string, engine *gin.Engine) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: engine}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// hello measures serveHello.
func hello(ctx context.Context, folder string) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	n := &nodes{folder: folder}
	defer n.stop()
	addresses, err := n.addresses(1)
	if err != nil {
		return 0, err
	}
	n.urls = []string{"http://" + addresses[0]}
	if err := n.launch("hello", nil, self, "--hello", addresses[0]); err != nil {
		return 0, err
	}
	if err := n.ready(ctx, "/"); err != nil {
		return 0, err
	}
	w := workload{clients: helloUsers}
	result, err := httpload.Run(ctx, load(floorTime), w.users(n.urls, nil, func(int) httpload.Generator {
		return func(r *httpload.Request) bool {
			r.Set(http.MethodGet, 1, 1, "/")
			return true
		}
	}))
	return result.RequestsPerSecond, err
}

// syncs measures how often a second 4 KiB can be appended to a file and be safe on the disk.
func syncs(ctx context.Context, folder string) (float64, error) {
	f, err := os.Create(filepath.Join(folder, "syncs"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	block := make([]byte, syncedSize)
	start, n := time.Now(), 0
	for time.Since(start) < floorTime && ctx.Err() == nil {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := syncData(f); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), ctx.Err()
}

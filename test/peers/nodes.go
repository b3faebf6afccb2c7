package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"dapple/internal/environ"
	"dapple/internal/ports"
)

const (
	readyTime = 2 * time.Minute
	pollPause = 100 * time.Millisecond
	endTime   = 20 * time.Second // from the signal to end until a process is killed
)

// nodes are the processes of a system.
type nodes struct {
	folder    string
	urls      []string // base URLs for clients
	processes []*process
	reserved  []*ports.Reservation // of the processes, until they have ended
}

// process is one that runs, or has ended when done is closed.
type process struct {
	end  context.CancelFunc
	done chan struct{}
	err  error
	log  string
}

// launch starts a process; what it prints goes to name.log in the folder. Environment variables are added to our own.
func (n *nodes) launch(name string, env []string, command string, args ...string) error {
	logged, err := os.Create(filepath.Join(n.folder, name+".log"))
	if err != nil {
		return err
	}
	defer logged.Close()
	ctx, end := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endTime
	cmd.Env = environ.Dapple(env...)
	cmd.Stdout, cmd.Stderr = logged, logged
	if err := cmd.Start(); err != nil {
		end()
		return err
	}
	p := &process{end: end, done: make(chan struct{}), log: logged.Name()}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	n.processes = append(n.processes, p)
	return nil
}

// stop ends all processes, waits for them and gives their ports back.
func (n *nodes) stop() {
	for _, p := range n.processes {
		p.end()
	}
	for _, p := range n.processes {
		<-p.done
	}
	for _, r := range n.reserved {
		_ = r.Release()
	}
	n.reserved = nil
}

// ready waits until every node answers a path with 200.
func (n *nodes) ready(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for _, url := range n.urls {
		if err := n.await(ctx, func() error {
			_, err := ask(ctx, http.MethodGet, url+path, nil)
			return err
		}); err != nil {
			return fmt.Errorf("%s is not ready: %w", url, err)
		}
	}
	return nil
}

// await tries until there is no error; the end of a process is the end of that.
func (n *nodes) await(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		for _, p := range n.processes {
			if failed := p.failed(); failed != nil {
				return failed
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pollPause):
		}
	}
}

// failed says that a process ended, and what it wrote last.
func (p *process) failed() error {
	select {
	case <-p.done:
		text, err := os.ReadFile(p.log)
		return errors.Join(fmt.Errorf("it ended: %w: %s", p.err, text[max(0, len(text)-2000):]), err)
	default:
		return nil
	}
}

// ask sends one request and returns its answer; anything but 200 is an error.
func ask(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, answer.Status, text[:min(len(text), 500)])
	}
	return text, err
}

// clusterAddresses returns an address for clients and one for the other nodes for each node of a cluster.
func (n *nodes) clusterAddresses() (clients, peers []string, err error) {
	addresses, err := n.addresses(2 * clusterSize)
	if err != nil {
		return nil, nil, err
	}
	return addresses[:clusterSize], addresses[clusterSize:], nil
}

// addresses returns addresses on loopback that only the processes of these nodes listen on until stop.
func (n *nodes) addresses(count int) ([]string, error) {
	var addresses []string
	for range count {
		reserved, err := ports.Reserve()
		if err != nil {
			return nil, err
		}
		n.reserved = append(n.reserved, reserved)
		addresses = append(addresses, reserved.Address)
	}
	return addresses, nil
}

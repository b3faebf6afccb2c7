package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// healthCmd asks a node whether it is ready. A container image without a shell checks its health with it.
type healthCmd struct {
	URL     string        `name:"url" default:"http://127.0.0.1:8080" help:"The node's base URL."`
	Alive   bool          `help:"Ask only whether the process answers, not whether the node is ready."`
	Timeout time.Duration `default:"2s" help:"How long to wait for the answer."`
}

// Run returns an error with its own exit code where the node answers and is not ready.
func (h *healthCmd) Run(ctx context.Context, s *streams) error {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	path := "/readyz"
	if h.Alive {
		path = "/healthz"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(h.URL, "/")+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	reason, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return &exitError{exitUnhealth, fmt.Errorf("not ready: %s", strings.TrimSpace(string(reason)))}
	}
	_, err = fmt.Fprintln(s.out, strings.TrimSpace(string(reason)))
	return err
}

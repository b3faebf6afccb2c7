package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// healthCmd asks a node whether it is ready. A container image without a shell checks its health with it.
type healthCmd struct {
	URL     string        `name:"url" default:"http://127.0.0.1:8080" help:"The node's base URL."`
	Alive   bool          `help:"Ask only whether the process answers, not whether the node is ready."`
	CA      string        `name:"ca" help:"Certificates of the authorities that the node's certificate must come from (PEM); by default those of the system." placeholder:"FILE"`
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
	client, err := h.client()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	response, err := client.Do(request)
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

// client returns an HTTP client that trusts the authorities of --ca, if the flag is given.
func (h *healthCmd) client() (*http.Client, error) {
	if h.CA == "" {
		return http.DefaultClient, nil
	}
	pem, err := os.ReadFile(h.CA)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca: no certificate in %s", h.CA)
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}

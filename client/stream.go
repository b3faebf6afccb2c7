package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// lines sends a request whose answer is one JSON value a line and yields them as they come. Whoever stops early closes the
// connection. A transfer that breaks off yields an error: a list without one is complete.
func lines[T any](ctx context.Context, c *Client, r request) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		response, err := c.send(ctx, r)
		if err != nil {
			yield(zero, err)
			return
		}
		defer response.Body.Close()
		decoder := json.NewDecoder(response.Body)
		for {
			var value T
			err := decoder.Decode(&value)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(zero, fmt.Errorf("%s %s: the list broke off: %w", r.method, r.path, err))
				return
			}
			if !yield(value, nil) {
				return
			}
		}
	}
}

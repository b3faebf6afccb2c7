package main

import (
	"fmt"
	"strconv"

	"github.com/alecthomas/kong"
)

// freeDisk is the value of --min-free-disk as node.Config has it: 0 for auto, negative for off.
type freeDisk int64

// Decode reads auto or a number of bytes, which is a number in a configuration file too.
func (f *freeDisk) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("bytes")
	if err != nil {
		return err
	}
	text := fmt.Sprint(token.Value)
	if text == "auto" {
		*f = 0
		return nil
	}
	bytes, err := strconv.ParseInt(text, 10, 64)
	if err != nil || bytes < 0 {
		return fmt.Errorf("%q is neither auto nor a number of bytes", text)
	}
	*f = freeDisk(bytes)
	if bytes == 0 {
		*f = -1
	}
	return nil
}

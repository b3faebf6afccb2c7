package httpapi

import (
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// minCompressed is the length in bytes from which a whole answer is worth compressing: a shorter one fits a packet anyway.
const minCompressed = 1400

// compressor is a gzip or zstd writer that is used again and again.
type compressor interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// compressors keeps writers for the next answer, by encoding: one takes about a megabyte.
type compressors struct{ gzip, zstd sync.Pool }

// get returns a writer of an encoding.
func (p *compressors) get(encoding string, w io.Writer) (compressor, error) {
	if encoding == "zstd" {
		if held, ok := p.zstd.Get().(*zstd.Encoder); ok {
			held.Reset(w)
			return held, nil
		}
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
	}
	if held, ok := p.gzip.Get().(*gzip.Writer); ok {
		held.Reset(w)
		return held, nil
	}
	return gzip.NewWriterLevel(w, gzip.BestSpeed)
}

// put takes a writer back, closed or not.
func (p *compressors) put(c compressor) {
	switch c := c.(type) {
	case *zstd.Encoder:
		c.Reset(nil)
		p.zstd.Put(c)
	case *gzip.Writer:
		c.Reset(io.Discard)
		p.gzip.Put(c)
	}
}

// bestEncoding returns the encoding that an Accept-Encoding header likes best, zstd before gzip where it likes both the same,
// and "" where the answer is to stay as it is: RFC 9110, section 12.5.3.
func bestEncoding(accept string) string {
	qualities := map[string]float64{}
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		quality := 1.0
		if key, value, found := strings.Cut(params, "="); found && strings.EqualFold(strings.TrimSpace(key), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				continue
			}
			quality = q
		}
		qualities[strings.ToLower(strings.TrimSpace(name))] = quality
	}
	best, bestQuality := "", 0.0
	for _, encoding := range [...]string{"zstd", "gzip"} {
		quality, named := qualities[encoding]
		if !named {
			quality = qualities["*"]
		}
		if quality > bestQuality {
			best, bestQuality = encoding, quality
		}
	}
	if plain, named := qualities["identity"]; named && plain > bestQuality {
		return ""
	}
	return best
}

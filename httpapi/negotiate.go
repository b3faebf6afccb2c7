package httpapi

import (
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// negotiate picks the content type of the answer among those offered, the preferred one first. Where the client accepts none of
// them the error is answered and ok is false. The answer carries Vary: Accept.
func (s *Server) negotiate(c *gin.Context, offers ...string) (chosen string, ok bool) {
	c.Writer.Header().Add("Vary", "Accept")
	accept := strings.Join(c.Request.Header.Values("Accept"), ",")
	if chosen = bestOffer(accept, offers); chosen != "" {
		return chosen, true
	}
	s.fail(c, catalogue.Errorf(command.CodeNotAcceptable, "the requested content type %s is not supported; use %s",
		accept, strings.Join(offers, " or ")))
	return "", false
}

// bestOffer returns the offer of the highest quality, of equal ones the first, and "" where none is accepted. For each offer
// the most specific range counts. Without any range everything is accepted.
func bestOffer(accept string, offers []string) string {
	if strings.Trim(accept, ", \t") == "" {
		return offers[0]
	}
	best, bestQuality := "", 0.0
	for _, offer := range offers {
		quality, specific := 0.0, 0
		for part := range strings.SplitSeq(accept, ",") {
			media, q, valid := parseRange(part)
			if !valid {
				continue
			}
			if n := fits(media, offer); n > specific || (n > 0 && n == specific && q > quality) {
				quality, specific = q, n
			}
		}
		if quality > bestQuality {
			best, bestQuality = offer, quality
		}
	}
	return best
}

// fits says how specifically a range names an offer: 3 exactly, 2 by its type, 1 as anything, 0 not at all.
func fits(media, offer string) int {
	kind, _, _ := strings.Cut(offer, "/")
	switch {
	case strings.EqualFold(media, offer):
		return 3
	case strings.EqualFold(media, kind+"/*"):
		return 2
	case media == "*/*":
		return 1
	default:
		return 0
	}
}

// parseRange splits a media range from its quality. Other parameters are ignored; a quality that is no number from 0 to 1
// makes the range invalid.
func parseRange(part string) (media string, quality float64, valid bool) {
	media, params, _ := strings.Cut(part, ";")
	quality = 1
	for param := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return "", 0, false
		}
		quality = q
	}
	media = strings.TrimSpace(media)
	return media, quality, strings.Contains(media, "/")
}

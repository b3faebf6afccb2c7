package httpapi

import (
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// timeLayouts are the forms in which clients write times, all in UTC where they do not say otherwise.
var timeLayouts = [...]string{
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.RFC3339Nano, timeLayout, "2006-01-02",
}

// parseTime reads a time that a client gives under a key and returns microseconds since 1970, or CodeInvalidDate.
func parseTime(key, text string) (int64, error) {
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UnixMicro(), nil
		}
	}
	return 0, catalogue.Errorf(command.CodeInvalidDate, "'%s': '%.64s' is no time of the form 2006-01-02T15:04:05", key, text)
}

// queryTime reads a time of the query string, 0 where it is missing or empty.
func queryTime(c *gin.Context, key string) (int64, error) {
	text := c.Query(key)
	if text == "" {
		return 0, nil
	}
	return parseTime(key, text)
}

// queryCount reads a whole number from 0 on of the query string, absent where it is missing or empty.
func queryCount(c *gin.Context, key string, absent int) (int, error) {
	text := c.Query(key)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, catalogue.Errorf(command.CodeInvalidValue, "'%s' must be a whole number from 0 on, not '%.64s'", key, text)
	}
	return int(n), nil
}

package bench

// What follows a file's name in the items of a body.
const (
	newFileTail     = `","bytes":1048576,"adler32":"0cc737eb"}`
	availableTail   = `","state":"A"}`
	unavailableTail = `","state":"U"}`
	plainTail       = `"}`
)

// appendAtRSE appends the beginning of a body about files at a storage element.
func appendAtRSE(b []byte, rse int) []byte {
	b = append(b, `{"rse":"`...)
	b = appendRSE(b, rse)
	return append(b, `","files":[`...)
}

// appendItems appends count items and the end of a body; number says which file the item i is.
func appendItems(b []byte, run string, series, count int, number func(i int) int, tail string) []byte {
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"scope":"`+scope+`","name":"`...)
		b = appendName(b, run, series, number(i))
		b = append(b, tail...)
	}
	return append(b, "]}"...)
}

// from numbers files one after another.
func from(first int) func(int) int {
	return func(i int) int { return first + i }
}

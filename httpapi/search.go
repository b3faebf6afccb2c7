package httpapi

import (
	"maps"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"dapple/catalogue"
	"dapple/command"
)

// searchDIDs answers GET /dids/<scope>/dids/search. The conditions are a literal of Python or JSON in filters, a list of
// dictionaries of which one must hold, and the query's other parameters, which must all hold.
func (s *Server) searchDIDs(c *gin.Context) {
	search, long, err := newSearch(c)
	if err != nil {
		s.fail(c, err)
		return
	}
	if recursive, _ := queryBool(c, "recursive"); recursive || search.Counts() {
		pageByItem(c) // a DID comes once, where it is found first, and is counted from there
	}
	s.readRows(c, func(v View, st *stream) error {
		return search.Scan(v, func(scope, name string, d *catalogue.DID) (bool, error) {
			if !long {
				return true, st.line(appendJSONString(st.open(), name))
			}
			return true, st.line(appendFound(st.open(), scope, name, d, search.ByOwnKeys()))
		})
	})
}

// appendFound appends a row of the long form; searches by clients' own keys tell no more than the name.
func appendFound(b []byte, scope, name string, d *catalogue.DID, nameOnly bool) []byte {
	b = appendDIDName(append(b, '{'), "", scope, name)
	if nameOnly {
		return append(b, `, "did_type": null, "bytes": null, "length": null}`...)
	}
	b = append(append(append(b, `, "did_type": "`...), d.Type.String()...), '"')
	size, length := "null", "null"
	if n, known := d.KnownSize(); known {
		size = strconv.FormatUint(n, 10)
	}
	if n, known := d.KnownLength(); known {
		length = strconv.FormatUint(n, 10)
	}
	return append(append(append(append(append(b, `, "bytes": `...), size...), `, "length": `...), length...), '}')
}

func newSearch(c *gin.Context) (search *catalogue.Search, long bool, err error) {
	options := catalogue.SearchOptions{Type: c.Query("type")}
	if long, err = queryBool(c, "long"); err != nil {
		return nil, false, err
	}
	if options.Recursive, err = queryBool(c, "recursive"); err != nil {
		return nil, false, err
	}
	if options.Limit, err = queryCount(c, "limit", 0); err != nil {
		return nil, false, err
	}
	if options.Offset, err = queryCount(c, "offset", 0); err != nil {
		return nil, false, err
	}
	groups, err := searchConditions(c)
	if err != nil {
		return nil, false, err
	}
	search, err = catalogue.NewSearch(c.Param("scope"), groups, options)
	return search, long, err
}

// searchConditions reads the conditions of a search. One that is said twice in the same words counts once.
func searchConditions(c *gin.Context) ([][]catalogue.Condition, error) {
	var all []catalogue.Condition
	query := c.Request.URL.Query()
	dropPaging(query)
	for _, key := range slices.Sorted(maps.Keys(query)) {
		switch key {
		case "filters", "type", "limit", "offset", "long", "recursive", queryLevel, queryMaxStale:
		default:
			slices.Sort(query[key])
			for _, value := range slices.Compact(query[key]) {
				all = append(all, catalogue.Condition{Key: key, Value: value})
			}
		}
	}
	filters, given := c.GetQuery("filters")
	if !given {
		return [][]catalogue.Condition{all}, nil
	}
	groups, err := parseFilters(filters)
	if len(groups) == 0 {
		groups = [][]catalogue.Condition{nil}
	}
	for i := range groups {
		groups[i] = append(groups[i], all...)
	}
	if err == nil {
		err = checkGroups(groups)
	}
	return groups, err
}

// Every DID of a scope may be compared with every condition of a search.
const (
	maxGroups     = 100
	maxConditions = 1000
)

// checkGroups refuses a search with too many conditions.
func checkGroups(groups [][]catalogue.Condition) error {
	conditions := 0
	for _, g := range groups {
		conditions += len(g)
	}
	if len(groups) > maxGroups || conditions > maxConditions {
		return catalogue.Errorf(command.CodeInvalidFilter, "%d groups with %d conditions are more than %d groups or %d conditions: search in turns",
			len(groups), conditions, maxGroups, maxConditions)
	}
	return nil
}

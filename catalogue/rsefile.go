package catalogue

// unindexedSchema is the schema version from which on there is no index of files by RSE. No query ever read it, and it was two of the
// five keys of a file with two replicas, which each compaction writes again (docs/performance.md). What is to be known of the
// files at an RSE is in their records, which a scan of the files in the order of their names reads.
const unindexedSchema = 3

// indexesFilesByRSE reports whether the catalogue has the index: clusters formed under an older schema version keep theirs, for all nodes
// must hold the same, whichever program they run.
func indexesFilesByRSE(v View) (bool, error) {
	schema, err := Schema(v)
	return schema > 0 && schema < unindexedSchema, err
}

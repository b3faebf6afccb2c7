package main

import (
	"fmt"

	"dapple/client"
)

const (
	scope        = "data18_13TeV"
	rseCount     = 100
	datasetFiles = 1000
	// runs is how many run numbers there are; runStep, which has no factor in common with it, brings them out of order, so that datasets
	// do not come in the order of their names.
	runs, runStep = 10_000_000, 7_654_321
)

func rseName(i int) string { return fmt.Sprintf("SITE%03d_DATADISK", i) }

// datasetName is the name of a dataset, as data of an experiment are named.
func datasetName(d int) string {
	return fmt.Sprintf("data18_13TeV.%08d.physics_Main.AOD.r13286", d*runStep%runs)
}

// fileName is the name of a file in a dataset: 60 characters.
func fileName(d, i int) string { return fmt.Sprintf("%s._%06d.root.1", datasetName(d), i) }

// places are the two RSEs of a dataset.
func places(d int) (first, second int) {
	first = d % rseCount
	return first, (first + 1 + int(scatter(uint64(d))%(rseCount-1))) % rseCount
}

// datasetOf makes the files of a dataset with sizes and checksums that do not repeat, since what repeats compresses.
func datasetOf(d int) []client.NewFile {
	files := make([]client.NewFile, datasetFiles)
	for i := range files {
		n := scatter(uint64(d*datasetFiles + i))
		files[i] = client.NewFile{Scope: scope, Name: fileName(d, i), Bytes: 100_000_000 + n>>32, Adler32: fmt.Sprintf("%08x", uint32(n))}
	}
	return files
}

// scatter makes a number of another that looks like chance (splitmix64).
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

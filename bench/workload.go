package bench

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"

	"dapple/internal/httpload"
)

// workload is a kind of load. Its batch, files and replicas a file are the defaults; files are what setup registers.
type workload struct {
	batch, files, replicas int
	least                  int  // fewest files
	ordered                bool // its requests take the files in batches that are at one RSE each
	dataset                int  // files in a dataset; allFiles for one dataset of all
	own                    bool // speaks a route that only Dapple has
	generate               func(p *plan, client int) httpload.Generator
}

const (
	allFiles     = -1
	mixedDataset = 100
)

var workloads = map[string]workload{
	"register":      {batch: 1, replicas: 1, generate: registering},
	"register-bulk": {batch: 1000, replicas: 1, generate: registering},
	"state":         {batch: 1000, files: 10000, replicas: 1, ordered: true, generate: changing},
	"delete":        {batch: 1000, files: 100000, replicas: 1, ordered: true, generate: deleting},
	"lookup":        {files: 10000, replicas: 2, generate: lookingUp},
	"list":          {files: 10000, replicas: 2, dataset: allFiles, generate: listing},
	"exists":        {batch: 1000, files: 10000, replicas: 2, own: true, generate: checking},
	"mixed":         {files: 10000, replicas: 2, least: mixedDataset, dataset: mixedDataset, generate: mixing},
}

// Workloads returns the names of all workloads.
func Workloads() []string { return slices.Sorted(maps.Keys(workloads)) }

// inOrder returns the fewest files that the requests of an ordered workload take.
func (w workload) inOrder(batch int) int {
	if w.ordered {
		return batch
	}
	return 1
}

// plan is what the clients of a run share.
type plan struct {
	Config
	workload workload
	run      string
	used     atomic.Int64 // batches that a client has taken to delete
}

// chunk is how many of setup's files are registered at one RSE before the next has its turn: whole batches.
func (p *plan) chunk() int {
	if !p.workload.ordered || p.Batch >= setupBatch {
		return max(p.Batch, setupBatch)
	}
	return setupBatch / p.Batch * p.Batch
}

// rseOf returns where the copy of setup's file i is.
func (p *plan) rseOf(i, copied int) int { return (i/p.chunk() + copied) % p.RSEs }

// datasetSize returns the number of files in a dataset, 0 where there are none.
func (p *plan) datasetSize() int {
	if p.workload.dataset == allFiles {
		return p.Files
	}
	return p.workload.dataset
}

func (p *plan) random(client int) *rand.Rand { return rand.New(rand.NewPCG(uint64(client), 1)) }

// registering registers new files, each request at another RSE.
func registering(p *plan, client int) httpload.Generator {
	n, batch := 0, max(p.Batch, 1)
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, batch, 0, replicasPath)
		r.Body = appendAtRSE(r.Body, (client+n)%p.RSEs)
		r.Body = appendItems(r.Body, p.run, client+1, batch, from(n*batch), newFileTail)
		n++
		return true
	}
}

// changing makes replicas unavailable and available in turn.
func changing(p *plan, client int) httpload.Generator {
	random, n := p.random(client), 0
	return func(r *httpload.Request) bool {
		tail := unavailableTail
		if n%2 == 1 {
			tail = availableTail
		}
		n++
		first := random.IntN(p.Files/p.Batch) * p.Batch
		p.known(r, http.MethodPut, first, tail)
		return true
	}
}

// deleting deletes setup's files, until none is left.
func deleting(p *plan, _ int) httpload.Generator {
	return func(r *httpload.Request) bool {
		first := int(p.used.Add(1)-1) * p.Batch
		if first+p.Batch > p.Files {
			return false
		}
		p.known(r, http.MethodDelete, first, plainTail)
		return true
	}
}

// known makes a request about a batch of setup's files.
func (p *plan) known(r *httpload.Request, method string, first int, tail string) {
	r.Set(method, p.Batch, 0, replicasPath)
	r.Body = appendAtRSE(r.Body, p.rseOf(first, 0))
	r.Body = appendItems(r.Body, p.run, 0, p.Batch, from(first), tail)
}

// lookingUp asks for the replicas of files at random.
func lookingUp(p *plan, client int) httpload.Generator {
	random := p.random(client)
	return func(r *httpload.Request) bool {
		r.Set(http.MethodGet, 1, 1, replicasPath+"/"+scope+"/")
		r.Path = appendName(r.Path, p.run, 0, random.IntN(p.Files))
		return true
	}
}

// listing asks for the replicas of the files of datasets at random.
func listing(p *plan, client int) httpload.Generator {
	random, size := p.random(client), p.datasetSize()
	return func(r *httpload.Request) bool {
		r.Set(http.MethodGet, size, size, replicasPath+"/"+scope+"/")
		r.Path = appendDataset(r.Path, p.run, random.IntN(p.Files/size))
		return true
	}
}

// checking asks of files at random whether they exist.
func checking(p *plan, client int) httpload.Generator {
	random := p.random(client)
	number := func(int) int { return random.IntN(p.Files) }
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, p.Batch, p.Batch, existsPath)
		r.Body = appendItems(append(r.Body, `{"dids":[`...), p.run, 0, p.Batch, number, plainTail)
		return true
	}
}

const (
	replicasPath = "/replicas"
	existsPath   = "/replicas/exists"
)

// mixing looks up 80 times of 100, lists 15 and writes 5.
func mixing(p *plan, client int) httpload.Generator {
	random := p.random(client)
	look, list, write := lookingUp(p, client), listing(p, client), registering(p, client)
	return func(r *httpload.Request) bool {
		switch n := random.IntN(100); {
		case n < 80:
			return look(r)
		case n < 95:
			return list(r)
		default:
			return write(r)
		}
	}
}

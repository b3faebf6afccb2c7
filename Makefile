# Shortcuts; .ci/run is what decides.
.PHONY: help build test race lint fuzz generate bench compare conformance rucio compose compose-up compose-down docs ci

.DEFAULT_GOAL := build

# Every target has one line behind ##.
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the static binary bin/dapple
	CGO_ENABLED=0 go build -trimpath -o bin/dapple ./cmd/dapple

test: ## run all tests, those of real processes too (minutes)
	go test ./...

race: ## run all tests with the race detector (needs a C compiler)
	go test -race ./...

lint: ## check formatting, vet and the pinned linter
	scripts/lint

fuzz: ## run each fuzz target for one minute (FUZZ=10s for another time)
	scripts/fuzz $(FUZZ)

generate: ## generate command/*.pb.go again (needs protoc 3.21.12)
	go generate ./command

bench: ## measure a three-node cluster on this machine (WORKLOADS="register lookup")
	scripts/bench $(WORKLOADS)

compare: ## measure Dapple beside etcd, rqlite and Rucio, those that are there
	scripts/compare

conformance: ## play the recordings of Rucio on a real three-node cluster
	scripts/check-cluster

rucio: ## run Rucio's own clients, and the recordings on Rucio's server (needs RUCIO_SOURCE)
	scripts/rucio-client-check
	scripts/rucio-conformance

compose: ## check three containers: reads, writes, a stop and a start
	scripts/check-compose

compose-up: ## start three containers
	scripts/compose up

compose-down: ## stop them and keep their data
	scripts/compose down

docs: ## build the documentation into site/ (needs mkdocs 1.4 or newer)
	mkdocs build --strict

ci: ## run every check that decides whether a change may land
	bash .ci/run

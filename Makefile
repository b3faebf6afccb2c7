# Shortcuts; .ci/run is what decides.
.PHONY: build test race lint generate compose-up compose-down ci

build:
	CGO_ENABLED=0 go build -trimpath -o bin/dapple ./cmd/dapple

test:
	go test ./...

race:
	go test -race ./...

lint:
	scripts/lint

generate:
	go generate ./command

compose-up:
	scripts/compose up

compose-down:
	scripts/compose down

ci:
	bash .ci/run

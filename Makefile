# Everything here needs Go and make; the linters are built from tools/go.mod at first use, which takes some minutes once.

# A pipe fails when any of its parts does.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# How long each fuzz target runs.
FUZZTIME ?= 500000x

# The tools have a separate module, so their thousand dependencies are not the product's. "go tool -modfile" runs
# them here, at the root; "go -C tools tool" would run them inside tools/.
LINT := go tool -modfile=tools/go.mod golangci-lint

.PHONY: help
help: ## print this list
	@while IFS= read -r line; do \
		if [[ $$line =~ ^([a-z-]+):.*'## '(.*) ]]; then printf '  make %-12s %s\n' "$${BASH_REMATCH[1]}" "$${BASH_REMATCH[2]}"; fi; \
	done < $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build the static binary bin/bridge
	CGO_ENABLED=0 go build -trimpath -o bin/bridge ./cmd/bridge

.PHONY: test
test: ## run all tests
	go test ./...

.PHONY: race
race: ## run all tests under the race detector (needs a C compiler)
	go test -race ./...

.PHONY: lint
lint: ## check the code against .golangci.yml
	$(LINT) run

.PHONY: fmt
fmt: ## format the code and sort its imports
	$(LINT) fmt

.PHONY: generate
generate: ## regenerate files, e.g. after a change of openapi.yaml
	go generate ./...

.PHONY: fuzz
fuzz: ## run each fuzz target with FUZZTIME (500000x) inputs
	FUZZTIME=$(FUZZTIME) .ci/run fuzz

# What decides about data: a mutant that lives there is a decision that no test looks at.
MUTATE ?= internal/translate internal/coreapi internal/egress internal/bus/ledger internal/reconcile pkg/events/internal/binding pkg/events/internal/subject

.PHONY: mutate
mutate: ## change the code in small ways and print the changes that no test notices; MUTATE=internal/translate for one package
	for package in $(MUTATE); do go tool -modfile=tools/gremlins/go.mod gremlins unleash ./$$package --timeout-coefficient 20 -S lct || exit 1; done

.PHONY: bench
bench: ## measure throughput and latency and print the tables
	go -C tests/bench run .

.PHONY: pace
pace: ## measure for twenty minutes how the request budget is spent
	go test ./tests/pace -count=1 -v -parallel=10 -timeout=40m -pace

.PHONY: echo
echo: ## measure how sure the marks of own writes are, over 26,000 changes
	go test ./internal/mirror/echo -count=1 -v -run=TestMeasure -timeout=40m -echo

.PHONY: chaos
chaos: ## kill, disconnect and flood everything for 90 seconds and print the totals
	.ci/run chaos

.PHONY: chaos-long
chaos-long: ## the same for an hour or two, one fault at a time
	go -C tests/chaos test -count=1 -chaos=long -parallel=1 -timeout=4h

.PHONY: hostile
hostile: ## attack the bridge for 90 seconds and check that other clouds are not affected
	.ci/run hostile

.PHONY: hostile-long
hostile-long: ## the same with larger numbers, one attack at a time
	go -C tests/hostile test -count=1 -hostile=long -parallel=1 -timeout=4h

.PHONY: field
field: ## test conditions of real deployments for two minutes
	.ci/run field

.PHONY: firsthour
firsthour: ## do what new users do, and check what they see
	.ci/run firsthour

.PHONY: examples
examples: ## test the programs that show what the mirror is for
	.ci/run examples

.PHONY: packages
packages: ## build a .deb and a .rpm for this machine's architecture into dist/
	deploy/linux/build

.PHONY: chart
chart: ## check the Helm chart: every value file against strict schemas
	.ci/run chart

.PHONY: kube
kube: ## install the chart in a real Kubernetes API server, which is built once
	go -C tests/kube test -tags=kube -v -count=1 -timeout=90m .

.PHONY: compose-test
compose-test: ## start the compose stacks and drive webhooks and commands through them
	tests/compose/run

.PHONY: cover
cover: ## run all tests and write their line coverage to coverage.html
	go test -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -html=coverage.out -o coverage.html
	@go tool cover -func=coverage.out | tail -n 1

.PHONY: ci
ci: ## everything that must pass before a change is merged
	.ci/run

.PHONY: clean
clean: ## remove what the other targets created
	rm -rf bin dist coverage.out coverage.html

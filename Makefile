# What to run when: `make check` before each commit, `make test race e2e` before a change is sent.
# `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
# The version is pinned in tools/go.mod. A binary of the same version can be given: make lint GOLANGCI=golangci-lint
GOLANGCI ?= $(GO) tool -modfile=tools/go.mod golangci-lint
BENCHSTAT ?= $(GO) tool -modfile=tools/go.mod benchstat
PYTHON   ?= python3
BUILD    := build

# How long each fuzz target runs, which benchmarks of which packages run how often, and what they are compared with.
FUZZTIME ?= 10s
BENCH    ?= .
PKG      ?= ./...
COUNT    ?= 1
BASE     ?= HEAD
# What the tests of one run may take, and more flags for the end-to-end tests.
TIMEOUT  ?= 5m
E2EFLAGS ?=

# Modules of their own, so that what they need is not what users of the library get.
MODULES := $(patsubst %/go.mod,%,$(wildcard bench/*/go.mod))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: format vet lint graph tidy short ## everything quick; run it before each commit

.PHONY: format
format: # formatting is checked here and again, more strictly, by lint
	@bad=$$(gofmt -l .); \
	if [ -n "$$bad" ]; then printf 'not formatted (run make fix):\n%s\n' "$$bad"; exit 1; fi

.PHONY: fix
fix: ## format everything and apply what the linters can correct
	$(GOLANGCI) fmt ./...
	$(GOLANGCI) run --fix ./...

.PHONY: vet
vet:
	$(GO) vet ./...
	@for m in $(MODULES); do (set -x; $(GO) -C $$m vet ./...); done

.PHONY: lint
lint: ## run the linters of .golangci.yml
	$(GOLANGCI) run ./...

.PHONY: graph
graph: ## check the rules of the house: imports, package comments, sizes, links
	$(GO) test ./internal/archtest

.PHONY: tidy
tidy: # go.mod and go.sum say what the code needs, no more
	$(GO) mod tidy -diff
	@for m in $(MODULES); do (set -x; $(GO) -C $$m mod tidy -diff); done

.PHONY: short
short:
	$(GO) test -short -timeout $(TIMEOUT) ./...

.PHONY: test
test: ## run all tests
	$(GO) test -timeout $(TIMEOUT) ./...

.PHONY: race
race: ## run all tests with the race detector
	$(GO) test -race -timeout $(TIMEOUT) ./...

.PHONY: nocgo
nocgo: ## build and test without cgo
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 $(GO) test -short -timeout $(TIMEOUT) ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	GO="$(GO)" tools/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## run the benchmarks that match BENCH in PKG, COUNT times
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG)

.PHONY: bench-cmp
bench-cmp: ## compare the benchmarks with those of the commit BASE
	GO="$(GO)" BENCHSTAT="$(BENCHSTAT)" tools/bench-cmp '$(BASE)' '$(BENCH)' $(PKG)

.PHONY: e2e
e2e: $(BUILD)/e2e/.ready e2e-node ## test real processes with real foreign clients
	OMNIBUS_E2E_PYTHON="$(CURDIR)/$(BUILD)/e2e/bin/python" OMNIBUS_E2E_NODE="$(CURDIR)/$(BUILD)/e2e/node" \
		$(GO) test -count=1 -timeout $(TIMEOUT) $(E2EFLAGS) ./e2e/...

# The original client libraries, in a Python environment of their own.
$(BUILD)/e2e/.ready: tools/e2e-requirements.txt
	$(PYTHON) -m venv --clear $(BUILD)/e2e
	$(BUILD)/e2e/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Those for Node.js, if it is there: without it their tests are skipped.
.PHONY: e2e-node
e2e-node:
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(BUILD)/e2e/node/.ready; else echo "npm is not installed"; fi

$(BUILD)/e2e/node/.ready: $(BUILD)/e2e/.ready $(wildcard tools/e2e-npm/*.json)
	mkdir -p $(@D)
	cp tools/e2e-npm/*.json $(@D)
	cd $(@D) && npm ci --no-audit --no-fund --ignore-scripts
	touch $@

.PHONY: docs
docs: ## regenerate what is generated in docs/
	mkdir -p $(BUILD)
	$(GO) run ./cmd/omnibus config reference > $(BUILD)/config.md
	mv $(BUILD)/config.md docs/config.md
	$(GO) test ./dialect/std -run TestMatrixIsAsDocumented -update
	$(GO) test ./dialect/mqtt -run TestStatementsAreAsDocumented -update

.PHONY: build
build: ## build the program into build/
	$(GO) build -o $(BUILD)/ ./cmd/...

.PHONY: tools
tools: ## build the pinned tools once (minutes the first time)
	$(GO) tool -modfile=tools/go.mod golangci-lint version
	$(GO) build -modfile=tools/go.mod -o $(BUILD)/ golang.org/x/perf/cmd/benchstat

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)

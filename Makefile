# The commands of this project. Everything they need and the machine lacks goes into .tools, at pinned versions.

.DEFAULT_GOAL := help
.PHONY: help run flush test check package reproduce advisories fuzz chaos model bench web fmt tools clean-data

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo
	@echo "  Ports of the local run: LAMBDA_PORT=9000 REDIS_PORT_1=7070 REDIS_PORT_2=7071"
	@echo "  RELOAD=1 make run rebuilds on every change (and drops what is not flushed yet)"

run: ## Run the counter here: two Redis servers, the four functions, the schedule
	@scripts/run

flush: ## Flush a running counter at once and print the summary
	@scripts/flush

test: ## Run every test
	@scripts/test

check: ## Run every check that is not a test: format, lints, docs, template
	@scripts/check

package: ## Make the zips of the functions for arm64 and x86_64, and try them (target/packages)
	@scripts/package

reproduce: ## Build the last commit's zips for arm64 in two folders and compare their bytes
	@scripts/reproduce

advisories: ## Ask RustSec's database for known weaknesses of the dependencies (needs the network)
	@scripts/advisories

fuzz: ## Try many more hostile inputs than make test does (CASES=50000 for each target)
	@scripts/fuzz

chaos: ## The real binaries under Lambda's lifecycle, faults and crashes, as a table (half an hour)
	@scripts/chaos

model: ## Check both protocols in every order of their steps, and that mutants of them fail (four minutes)
	@cargo run --release --quiet --package protocol-model --example model

bench: ## Measure against the floor and against Python, write docs/PERFORMANCE.md (a quarter of an hour)
	@scripts/bench

web: ## Build what browsers run, after a change in web/ (the result is committed)
	@scripts/web

fmt: ## Format the Rust, Python and browser code
	@cargo fmt --all
	@scripts/tools check && .tools/check/bin/ruff format --no-cache scripts tests bench
	@cd web && node_modules/.bin/biome check --colors=off --write

tools: ## Get the tools without running anything
	@scripts/tools

clean-data: ## Delete the counts of the local run
	@scripts/clean-data

# make up    a cluster on this machine with an example application (NODES=3 for three nodes)
# make down  ends it
# make test  every test
# The other targets are the parts of these; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help deps test-deps build images up down purge test test-api fuzz unit e2e lint docs bench clean

NODES ?=
STATE_DIR ?= .cluster
TARGET ?= $(or $(CARGO_TARGET_DIR),target)
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
# How the programs are built: release, or dev, which compiles in a third of the time.
PROFILE ?= release
BIN := $(TARGET)/$(PROFILE:dev=debug)
IMAGES := $(TARGET)/images
KCTL := KUBECONFIG=$(STATE_DIR)/kubeconfig $(BIN)/kctl
STATIC := $(TARGET)/$(HOST)/release
PYTHON := $(TARGET)/python/bin/python

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

deps: ## install what is missing of Debian's packages (needs root only then)
	@hack/install-deps

test-deps: ## install what the tests need as well
	@hack/install-deps --tests

build: deps ## build every program, optimised (PROFILE=dev: not)
	cargo build --profile $(PROFILE) --workspace --bins

images: build ## build the example's images into an OCI image layout
	CARGO_TARGET_$(shell echo $(HOST) | tr a-z- A-Z_)_RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" \
		cargo build --release --target $(HOST) -p gantry-example-web
	@hack/build-images $(BIN)/gantry-image-builder $(STATIC)/web $(IMAGES)

up: images ## bring up the cluster and the example, and say what to try next
	$(BIN)/kctl up $(if $(NODES),--nodes $(NODES)) --state-dir $(STATE_DIR) --images $(IMAGES)
	$(KCTL) apply -f examples/web.yaml
	$(KCTL) rollout status deployment/web
	@hack/whats-next $(STATE_DIR) $(BIN)

down: ## end the cluster and clean up; its data stays in STATE_DIR
	$(BIN)/kctl down --state-dir $(STATE_DIR)

purge: ## end the cluster and remove its data, too
	$(BIN)/kctl down --state-dir $(STATE_DIR) --purge

unit: test-deps ## unit tests, batteries and component tests
	cargo test --workspace --exclude gantry-tests

test-api: test-deps ## the API battery, against GANTRY_API_URL or a server of its own
	cargo test -p gantry-api-battery -- --show-output

fuzz: ## arbitrary input for every decoder, SECONDS for each (DECODER=cel for one)
	GANTRY_FUZZ_SECONDS=$(or $(SECONDS),60) $(if $(DECODER),GANTRY_FUZZ_TARGET=$(DECODER)) \
		cargo test --profile $(PROFILE) -p gantry-fuzz --test decoders

$(PYTHON): tests/python/requirements.txt | test-deps
	python3 -m venv --clear $(TARGET)/python
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

e2e: test-deps images $(PYTHON) ## end-to-end tests on real clusters
	GANTRY_BIN_DIR=$(abspath $(BIN)) GANTRY_IMAGES=$(abspath $(IMAGES)) GANTRY_PYTHON=$(abspath $(PYTHON)) \
		cargo test --profile $(PROFILE) -p gantry-tests -- --test-threads=1 --show-output

test: unit ## everything, with programs as they compile fastest
	$(MAKE) e2e PROFILE=dev

lint: ## format and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

docs: build ## write the reference of flags and the OpenAPI documents anew
	GANTRY_WRITE_DOCS=1 cargo test -p gantry-apiserver --test wire contract
	GANTRY_WRITE_DOCS=1 GANTRY_BIN_DIR=$(abspath $(BIN)) \
		cargo test --profile $(PROFILE) -p gantry-tests --test documents

bench: images ## all benchmarks, printed in one run on a cluster of their own (LARGE=1: with 150,000 pods, too)
	$(BIN)/gantry-bench --images $(IMAGES) --state-dir $(TARGET)/bench-cluster $(if $(LARGE),--large)

clean: ## remove everything that was built
	cargo clean

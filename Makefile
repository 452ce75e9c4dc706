# Every entry point of the project. `make` alone lists them. Fresh machines need Rust, Go, Python 3 and Linux.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: tools ## see it work on a local control plane; KEEP=1 keeps it running, CLUSTER=current uses your KUBECONFIG
	cargo build --workspace --bins --locked
	$(TARGET)/debug/keyferry-e2e demo $(if $(KEEP),--keep) $(if $(CLUSTER),--cluster=$(CLUSTER))

# One build for all tests: were the programs built apart from the tests, their dependencies would be built twice.
# Most end-to-end tests wait for something most of the time, hence more threads than processors.
.PHONY: test
test: tools ## every test: of all crates, and end to end against a real control plane
	cargo build --workspace --all-targets --locked
	RUST_TEST_THREADS=8 cargo test --workspace --all-targets --locked --no-fail-fast
	cargo test --workspace --doc --locked
	cargo test --package keyferry --lib --no-default-features --features vault --locked

# Each is a feature of the operator, and the operator builds with any one of them alone.
BACKENDS := akeyless aws azure fake gcp infisical kubernetes vault webhook

.PHONY: lint
lint: deny ## formatting, lints, documentation and dependencies, as CI checks them
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@for backend in $(BACKENDS); do echo "the operator with $$backend alone"; \
		cargo clippy --quiet --package keyferry --all-targets --no-default-features --features $$backend --locked -- -D warnings; done
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked --quiet

CARGO_DENY := 0.20.2

# The tool is built the first time, two minutes; what it checks needs no network.
.PHONY: deny
deny: ## licences, sources and unwanted crates among the dependencies, as deny.toml says
	@.cache/tools/bin/cargo-deny --version 2>/dev/null | grep -qxF "cargo-deny $(CARGO_DENY)" || \
		cargo install cargo-deny --version $(CARGO_DENY) --locked --root .cache/tools
	.cache/tools/bin/cargo-deny --log-level error --all-features check bans licenses sources

.PHONY: bench
bench: tools ## what 1,000 syncs cost beside a plain client's writes; OBJECTS=n for another number
	cargo build --release --locked --package keyferry --package keyferry-e2e --bins
	$(TARGET)/release/keyferry-e2e bench $(if $(OBJECTS),--objects=$(OBJECTS))

.PHONY: support
support: ## write the README's support table anew from what the conformance suite sees
	UPDATE=1 cargo test --locked --workspace --exclude keyferry --exclude keyferry-e2e conform
	UPDATE=1 cargo test --locked --package keyferry --test support_table

.PHONY: crds
crds: ## write crds/generated anew from the Rust types
	cargo run --locked --quiet --package keyferry-crds --bin crdgen

# The programs that tests and demo start: the control plane (a quarter of an hour the first time) and the backends.
.PHONY: tools
tools:
	@e2e/cluster/build.sh
	@e2e/backends/install.sh

# GNU make; `make help` lists the targets.

.NOTPARALLEL:

# nginx lives in /usr/sbin, which an ordinary user's PATH lacks.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/sbin:/sbin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

SERVER := .venv/bin/scoter
SOURCES = Cargo.toml Cargo.lock $(shell find crates \( -name target -o -name fuzz \) -prune \
	-o -type f \( -name '*.rs' -o -name '*.toml' \) -print)

# The tests embed the Python that .venv was created from. This is its real path, not the link in
# .venv: a new .venv has the same link, and Cargo would not notice that pyo3 must be rebuilt.
CARGO = PYO3_PYTHON="$$(realpath .venv/bin/python)" cargo

.PHONY: help
help:
	@echo 'make demo    serve a Django and a Flask application with nginx and scoter until Ctrl-C'
	@echo '             (ONCE=1: one request to each, then stop)'
	@echo 'make build   build $(SERVER); PYTHON=... selects the Python (3.9 or newer)'
	@echo 'make test    run every check'
	@echo 'make lint    run the quick checks: formatting, clippy, type stubs'
	@echo 'make release-checks  package the crates, build them with the lowest versions of their dependencies'
	@echo '             and with the oldest Rust (rustup toolchain install 1.85.0)'
	@echo 'make models  run the loom models: every interleaving of threads that share state without a lock'
	@echo 'make fmt     format the Rust code'
	@echo 'make bench   measure scoter, uWSGI, gunicorn and granian; report in benchmarks/report'
	@echo '             (ROUNDS=5 sets the rounds; ONLY=hello,nginx selects groups)'
	@echo 'make nginx-module  build nginx-conf/keepalive for the installed nginx, to target/nginx-module'
	@echo '             (NGINX_SOURCE=... is the source of an nginx that is not Debian'\''s)'
	@echo 'make uwsgi   build uWSGI itself in target/uwsgi: the tests compare what both servers do'
	@echo 'make fuzz    run every fuzz target for SECONDS_EACH=60 (nightly Rust, cargo-fuzz)'
	@echo 'make clean   remove all build output'

# The second make checks the server's age once .venv is known to work.
.PHONY: build
build: venv
	@$(MAKE) --no-print-directory $(SERVER)

$(SERVER): $(SOURCES)
	@command -v cargo >/dev/null || { echo 'no cargo: install Rust 1.85 or newer' >&2; exit 1; }
	.venv/bin/maturin develop --release --manifest-path crates/scoter/Cargo.toml
	@touch $@

.PHONY: demo
demo: build nginx applications
	@.venv/bin/python integration-tests/demo.py $(if $(filter-out 0,$(ONCE)),--once)

.PHONY: test
test: lint nginx nginx-module chromium applications prometheus uwsgi
	cargo test --package uwsgi-codec --no-default-features
	cargo test --package uwsgi-codec --all-features
	cargo test --package uwsgi-http --all-features
	$(CARGO) test --workspace
	@$(MAKE) --no-print-directory models
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --workspace --no-deps
	RUSTDOCFLAGS=-Dwarnings cargo doc --package uwsgi-codec --package uwsgi-http --all-features --no-deps
	@$(MAKE) --no-print-directory release-checks

# Before a release: the packages, the lowest versions of dependencies that the manifests promise, and
# the oldest Rust.
OLDEST_RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: release-checks
release-checks: build
	@if cargo update --quiet --dry-run bytes >/dev/null 2>&1; then \
		cargo publish --dry-run --allow-dirty --package uwsgi-codec && \
		tools/minimal-versions uwsgi-codec "" std tokio http && \
		tools/minimal-versions uwsgi-http client server gateway && \
		$(MAKE) --no-print-directory package-checks; \
	else \
		echo 'no registry: cargo publish --dry-run and the lowest versions are left out'; \
		CARGO_NET_OFFLINE=true $(MAKE) --no-print-directory package-checks; \
	fi

# What needs no registry: cargo has the dependencies, the workspace is built with them.
.PHONY: package-checks
package-checks:
	$(CARGO) package --allow-dirty --package uwsgi-codec --package uwsgi-http --package wsgi-environ
	@if cargo "+$(OLDEST_RUST).0" --version >/dev/null 2>&1; then \
		$(CARGO) "+$(OLDEST_RUST).0" check --workspace --target-dir target/oldest-rust && \
		cargo "+$(OLDEST_RUST).0" check --package uwsgi-codec --package uwsgi-http --all-features \
			--target-dir target/oldest-rust; \
	else \
		echo 'no Rust $(OLDEST_RUST).0: only clippy has checked for newer functions (incompatible_msrv)'; \
	fi

.PHONY: models
models: build
	$(CARGO) test --package wsgi-environ --package scoter --lib \
		--features wsgi-environ/loom,scoter/loom -- ::model::

.PHONY: lint
lint: build libpython stubtest
	cargo fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	cargo clippy --package uwsgi-codec --no-default-features --all-targets -- -D warnings
	cargo clippy --package uwsgi-codec --all-features --all-targets -- -D warnings
	for feature in client server gateway; do \
		cargo clippy --package uwsgi-http --features $$feature --all-targets -- -D warnings || exit; \
	done
	.venv/bin/stubtest scoter
	.venv/bin/mypy --strict benchmarks/compare

.PHONY: fmt
fmt:
	cargo fmt --all

ROUNDS ?= 5

.PHONY: bench
bench: build libpython applications nginx nginx-module peers counters
	cargo build --release --package benchmarks
	cd benchmarks && ../.venv/bin/python -m compare --rounds $(ROUNDS) $(if $(ONLY),--only $(ONLY))

.PHONY: nginx-module
nginx-module: $(if $(NGINX_SOURCE),,nginx-dev)
	@tools/nginx-module $(NGINX_SOURCE)

SECONDS_EACH ?= 60

.PHONY: fuzz
fuzz:
	@command -v cargo-fuzz >/dev/null || { echo 'no cargo-fuzz: cargo install cargo-fuzz' >&2; exit 1; }
	cd crates/uwsgi-codec && for target in $$(cargo fuzz list); do \
		cargo +nightly fuzz run "$$target" -- -max_total_time=$(SECONDS_EACH) || exit; \
	done

.PHONY: clean
clean:
	rm -rf target .venv benchmarks/.venv dist crates/scoter/python/scoter/*.so

# Prerequisites of the targets above; each does nothing if it is already there.

.PHONY: venv
venv:
	@tools/venv $(PYTHON)
	@[ -x .venv/bin/maturin ] || .venv/bin/pip install --quiet 'maturin>=1.16,<2'

.PHONY: stubtest
stubtest: venv
	@[ -x .venv/bin/stubtest ] || .venv/bin/pip install --quiet 'mypy>=1.18,<3'

.PHONY: applications
applications: venv
	@.venv/bin/pip install --quiet --requirement integration-tests/requirements.txt

.PHONY: nginx
nginx:
	@command -v nginx >/dev/null || tools/apt-install nginx

.PHONY: nginx-dev
nginx-dev: nginx
	@[ -d /usr/share/nginx/src ] || tools/apt-install nginx-dev

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
		tools/apt-install chromium chromium-driver

.PHONY: prometheus
prometheus:
	@command -v promtool >/dev/null || tools/apt-install prometheus

# uWSGI itself, built for the Python of .venv. tools/venv makes the folder again for another Python.
.PHONY: uwsgi
uwsgi: venv libpython
	@mkdir -p target/uwsgi && cd target/uwsgi && ../../tools/venv "$$(realpath ../../.venv/bin/python)"
	@[ -x target/uwsgi/.venv/bin/uwsgi ] || \
		target/uwsgi/.venv/bin/pip install --quiet --no-binary uwsgi 'uWSGI>=2.0.31,<2.1'

.PHONY: peers
peers: venv libpython
	@cd benchmarks && ../tools/venv "$$(realpath ../.venv/bin/python)"
	@benchmarks/.venv/bin/pip install --quiet --requirement benchmarks/requirements.txt \
		--requirement integration-tests/requirements.txt

.PHONY: counters
counters:
	@command -v strace >/dev/null || tools/apt-install strace
	@command -v valgrind >/dev/null || tools/apt-install valgrind

.PHONY: libpython
libpython: venv
	@.venv/bin/python tools/libpython

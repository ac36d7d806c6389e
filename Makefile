# SPDX-License-Identifier: Apache-2.0
# Two commands suffice on a fresh machine: `make run` and `make test`. Both install what is missing first.

SWIFT ?= swift
# What Swift source the format commands look at.
SOURCES := $(wildcard Package.swift Sources Tests TestSupport)

# One file that needs no Swift on the machine where it runs, and calls its runtime without a detour.
RELEASE := $(SWIFT) build -c release --static-swift-stdlib --product claviger
# The PKCS#11 library that fails as it is told.
FAULTY := $(SWIFT) build -c release --static-swift-stdlib --product FaultyPKCS11

.DEFAULT_GOAL := help
.PHONY: help setup build run cluster release test format check-format bench compare bench-compare scaling optimum drills \
    cluster-drills upgrade-drill cluster-sim pool-sim sim attack soak policy-bench audit-drill fuzz tsan acceptance checkov conformance \
    screenshots package reproduce package-test clean

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the Debian packages that are missing for all of this (sudo where not root).
	@deploy/setup.sh

setup-%:
	@deploy/setup.sh $*

build: setup-build ## Build for debugging.
	$(SWIFT) build

run: setup-run ## Build and start a development node; ARGS="--hsms 5 …" passes options on.
	$(SWIFT) run claviger dev $(ARGS)

# The built program keeps its symbols: what measures wants them, and a changed one would be linked anew each time.
release: setup-build ## Build for release: one self-contained program, .build/dist/claviger; its symbols lie beside it.
	$(RELEASE)
	deploy/strip.sh "$$($(RELEASE) --show-bin-path)/claviger" .build/dist

# SIGN_KEY=… signs the sums by a key of gpg's; MAINTAINER="Name <address>" stands in the packages.
package: setup-package ## Debian packages in .build/package: claviger and its debug symbols; SBOM (SPDX), SHA256SUMS.
	deploy/package/build.sh

reproduce: setup-package ## Build the packages of this commit twice, from clean clones, and compare them byte by byte.
	deploy/package/reproduce.sh

# PyPI's judges of an SBOM and of manifests; Debian has neither.
JUDGES := .build/judges
# The version before, packaged by this one's rules, of the commit PREVIOUS.
PREVIOUS ?= 16631be8c76dc4a2894efd1b7ba6c77f8e552a83
PREVIOUS_VERSION ?= 0.1.0
package-test: package ## Packages judged, installed, upgraded under load from the version before, removed (as root; a second build).
	@deploy/setup.sh package-test
	test -x $(JUDGES)/bin/pyspdxtools || { python3 -m venv --system-site-packages $(JUDGES) && \
	    $(JUDGES)/bin/pip install --quiet spdx-tools==0.8.5 kubernetes-validate==1.37.0; }
	PYTHONDONTWRITEBYTECODE=1 $(JUDGES)/bin/python deploy/package/judge.py .build/package
	PYTHONDONTWRITEBYTECODE=1 $(JUDGES)/bin/python -m unittest discover --start-directory deploy --pattern test_kubernetes.py
	test -e .build-previous/.git || git worktree add --detach .build-previous $(PREVIOUS)
	cp --no-clobber Package.resolved .build-previous/
	deploy/package/build.sh --source .build-previous --output .build/package-previous --previous $(PREVIOUS_VERSION)
	PYTHONDONTWRITEBYTECODE=1 deploy/package/install_test.py --previous .build/package-previous

# ModuleTests have a process of their own: the test library waits for the child processes of its exit tests in a way that
# any other child in the same process can disturb. The simulation's seeds can be replayed only where hashing is the same.
test: setup-test ## All tests, one after another: many of them wait for processes and sockets.
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover --start-directory Benchmarks
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover --start-directory deploy
ifeq ($(ARGS),)
	$(SWIFT) test --no-parallel --filter '^ModuleTests'
	SWIFT_DETERMINISTIC_HASHING=1 $(SWIFT) test --skip-build --filter '^NodeSimulationTests'
	$(SWIFT) test --skip-build --no-parallel --skip '^ModuleTests|^NodeSimulationTests'
else
	$(SWIFT) test --no-parallel $(ARGS)
endif

format: ## Format all Swift source in place.
	$(SWIFT) format --configuration .swift-format --recursive --parallel --in-place $(SOURCES)

check-format: ## Fail when Swift source is not formatted as .swift-format says.
	$(SWIFT) format lint --configuration .swift-format --strict --recursive --parallel $(SOURCES)

bench: setup-bench ## Build for release and measure; ARGS="--rounds 9 …" passes options on (Benchmarks/bench.py --help).
	$(RELEASE)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/bench.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" $(ARGS)

compare: setup-bench ## Compare this build with another, OTHER=path/to/claviger, in one run (release build).
	@test -n "$(OTHER)" || { echo "usage: make compare OTHER=path/to/another/claviger" >&2; exit 2; }
	$(RELEASE)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/compare.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --other "$(OTHER)" $(ARGS)

bench-compare: setup-bench ## claviger bench beside wrk, in turns, at one node (release build).
	$(RELEASE)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/bench_compare.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" $(ARGS)

scaling: setup-bench ## How throughput grows with HSMs, and what one slow HSM carries (release build).
	$(RELEASE)
	$(FAULTY)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/scaling.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --module "$$($(FAULTY) --show-bin-path)/libFaultyPKCS11.so" $(ARGS)

optimum: setup-bench ## The router beside the best that a dispatcher can do (release build); ARGS="--only tail,serial …".
	$(RELEASE)
	$(FAULTY)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/optimum.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --module "$$($(FAULTY) --show-bin-path)/libFaultyPKCS11.so" $(ARGS)

drills: setup-bench ## Every fault an HSM can have, under load (release build), with a table of what clients notice.
	$(RELEASE)
	$(FAULTY)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/drills.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --module "$$($(FAULTY) --show-bin-path)/libFaultyPKCS11.so" $(ARGS)

cluster: setup-cluster ## Three nodes in this terminal behind HAProxy; ARGS="--hsms 2 …" passes options on.
	$(SWIFT) run claviger dev --nodes 3 $(ARGS)

# Network namespaces need root.
cluster-drills: setup-cluster ## What clients notice when nodes die, stop, restart, lose HSMs or their peers (release build, as root).
	$(RELEASE)
	$(FAULTY)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/cluster_drills.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --module "$$($(FAULTY) --show-bin-path)/libFaultyPKCS11.so" $(ARGS)

upgrade-drill: setup-cluster ## A cluster from OTHER=path/to/another/claviger to this build under load, and back (release build, as root).
	@test -n "$(OTHER)" || { echo "usage: make upgrade-drill OTHER=path/to/another/claviger" >&2; exit 2; }
	$(RELEASE)
	$(FAULTY)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/upgrade_drill.py --other "$(OTHER)" \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --module "$$($(FAULTY) --show-bin-path)/libFaultyPKCS11.so" $(ARGS)

CLUSTER_SEEDS ?= 500
cluster-sim: ## Clusters of 3 to 1,000 nodes in virtual time: how soon deaths are known, false ones, bytes.
	CLAVIGER_CLUSTER_TABLE=1 CLAVIGER_SIM_SEEDS=$(CLUSTER_SEEDS) $(SWIFT) test --filter ClusterSimulationTests $(ARGS)

# Dictionaries have the same order in each run, so that a seed can be replayed.
SEEDS ?= 20000
sim: ## Whole nodes under random trouble in virtual time (release build); SEEDS=… runs others, SEED=n replays one.
	SWIFT_DETERMINISTIC_HASHING=1 CLAVIGER_NODE_SIM_SEEDS=$(SEEDS) $(if $(SEED),CLAVIGER_NODE_SIM_SEED=$(SEED)) \
	    $(SWIFT) test -c release --filter '^NodeSimulationTests' $(ARGS)

POOL_SEEDS ?= 20000
pool-sim: ## Pools of HSMs, and the key proof, under random faults in virtual time; POOL_SEEDS=100000 runs more.
	CLAVIGER_SIM_SEEDS=$(POOL_SEEDS) $(SWIFT) test --filter '^SimulationTests|KeyProofSimulation' $(ARGS)

attack: setup-bench ## What those who are served notice of every attack on a node (release build), with a table.
	$(RELEASE)
	$(FAULTY)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/attack.py \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --module "$$($(FAULTY) --show-bin-path)/libFaultyPKCS11.so" $(ARGS)

SOAK_S ?= 1800
soak: setup-bench ## Whether what a node holds grows under load, faults and reloads (release build); SOAK_S=… seconds.
	$(RELEASE)
	$(FAULTY)
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/soak.py --seconds $(SOAK_S) \
	    --claviger "$$($(RELEASE) --show-bin-path)/claviger" --module "$$($(FAULTY) --show-bin-path)/libFaultyPKCS11.so" $(ARGS)

policy-bench: setup-build ## What a decision of a policy costs with 10, 100 and 1,000 statements (release build).
	$(SWIFT) run -c release PolicyBench

# The tests of the audit log with as many requests and kills as the log is claimed to stand.
audit-drill: setup-test ## 10,000 requests and each tampering, kill -9 under load 50 times, full disks (as root).
	CLAVIGER_AUDIT_REQUESTS=10000 CLAVIGER_AUDIT_KILLS=50 $(SWIFT) test --filter 'EndToEndTests.EndToEnd/AuditLogs'

# Seconds for each target, and which ones: FUZZ="http1 lanes".
FUZZ_S ?= 600
FUZZ_BUILD := CLAVIGER_FUZZ=1 $(SWIFT) build -c release --build-path .build-fuzz --sanitize fuzzer --sanitize address
fuzz: setup-build ## libFuzzer on every parser of what comes from outside; FUZZ_S=… seconds for each, FUZZ="http1 …" only these.
	$(FUZZ_BUILD) --product Fuzz
	TestSupport/fuzz.sh "$$($(FUZZ_BUILD) --show-bin-path)/Fuzz" $(FUZZ_S) $(FUZZ)

# A build of its own; each report ends the run with an error, and stands in the output. Left out is what measures memory, or
# reads all of it: of that the sanitizer maps terabytes.
TSAN ?= ^(HSMPoolTests|XKSListenerTests|ClusterTests|NodeStoreTests)\.
TSAN_BUILD := --build-path .build-tsan --sanitize thread
tsan: setup-test ## The tests of what has threads, under the thread sanitizer; TSAN=… is a filter for others.
	$(SWIFT) build $(TSAN_BUILD) --build-tests
	clang -O2 -fPIC -shared -o .build-tsan/tsan-mutex.so TestSupport/tsan-mutex.c -ldl
	LD_PRELOAD=$(CURDIR)/.build-tsan/tsan-mutex.so TSAN_OPTIONS="halt_on_error=0 exitcode=66" \
	    $(SWIFT) test $(TSAN_BUILD) --skip-build --no-parallel --filter '$(TSAN)' --skip 'SecretsTests|HoldLittleMemory'

# Each part can be run by itself; all of it takes some six hours on two cores, and what measures wants a quiet machine.
acceptance: ## Simulations, drills, attacks, optimum, soak, sanitizer, fuzzers, packages, one after the other (as root, on a quiet machine).
	$(MAKE) sim
	$(MAKE) pool-sim
	$(MAKE) cluster-sim
	$(MAKE) drills
	$(MAKE) cluster-drills
	$(MAKE) attack
	$(MAKE) optimum
	$(MAKE) soak
	$(MAKE) tsan
	$(MAKE) fuzz
	$(MAKE) package-test
	$(MAKE) reproduce
	$(MAKE) checkov

# An environment of its own: checkov brings another reader of HCL under the same name.
checkov: setup-test ## What checkov says of deploy/terraform; fetches it from PyPI once (300 MB).
	test -x .build/checkov/bin/checkov || { python3 -m venv .build/checkov && .build/checkov/bin/pip install --quiet checkov; }
	PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover --start-directory deploy --pattern test_terraform.py

conformance: setup-conformance ## Run AWS's public test client, a checkout of which lies in CLIENT=…
	@test -n "$(CLIENT)" || { echo "usage: make conformance CLIENT=path/to/aws-kms-xksproxy-test-client" >&2; exit 2; }
	$(SWIFT) build --product claviger
	TestSupport/conformance.sh "$$($(SWIFT) build --show-bin-path)/claviger" "$(CLIENT)"

# The pictures are for eyes, and not kept in the repository.
screenshots: setup-screenshots ## Pictures of the status page (healthy, degraded, down; light, dark; desk, phone) in .build/screenshots.
	$(SWIFT) build --product claviger
	PYTHONDONTWRITEBYTECODE=1 python3 Benchmarks/screenshots.py \
	    --claviger "$$($(SWIFT) build --show-bin-path)/claviger" $(ARGS)

clean: ## Remove what was built.
	rm -rf .build .build-fuzz .build-tsan .build-package
	test ! -e .build-previous/.git || git worktree remove --force .build-previous

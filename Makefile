# SPDX-License-Identifier: Apache-2.0
# The two commands are `make demo` and `make test`; each does all the set-up by itself.
SHELL := bash
PRESET ?= release
BUILD := build/$(PRESET)
JOBS ?= $(shell nproc)
# Open MPI refuses root and more ranks than cores unless told; neither matters here.
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1

.PHONY: help setup build test sanitize cluster campaign demo pretrain study bench checks headers install clean
help:
	@printf 'make demo       build, then teach the tiny world on 2 ranks and write report.html\n'
	@printf 'make test       build, then run every test\n'
	@printf 'make sanitize   unit tests and two ranks under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer\n'
	@printf 'make cluster    test on several hosts and under Slurm, both made on this machine (root)\n'
	@printf 'make campaign   kill runs and store commands at random points (KILLS=300 SEED=1)\n'
	@printf 'make build      set up and build only (PRESET=release|dev|asan|tsan|cuda|bench)\n'
	@printf 'make headers    check that every header compiles alone\n'
	@printf 'make bench      build and run the benchmarks\n'
	@printf 'make pretrain   make the demo'"'"'s base model again from random weights\n'
	@printf 'make study      teach the tiny world whole: 19 recipes, 3 orders, 3 seeds; hours, goes on after a stop\n'
	@printf 'make install PREFIX=DIR\n'

build:
	@torch=$$(cmake/setup.sh) && arrow=$$(cmake/setup.sh arrow) && \
	cmake --preset $(PRESET) -DRETAIN_TORCH="$$torch" -DRETAIN_ARROW="$$arrow" && \
	cmake --build --preset $(PRESET) -j $(JOBS) $(if $(TARGETS),--target $(TARGETS))

checks:
	@cmake/checks.sh

headers: build
	@cmake --build --preset $(PRESET) -j $(JOBS) --target headers_framework headers_torch

test: checks build
	@ctest --test-dir $(BUILD) -j $(JOBS) -LE cluster --output-on-failure --no-tests=error

# Unit tests and tests on two ranks, twice; needs clang-16, libclang-rt-16-dev and llvm.
sanitize:
	@for preset in asan tsan; do \
	  $(MAKE) build PRESET=$$preset && ctest --test-dir build/$$preset -L 'unit|mpi' --output-on-failure --no-tests=error || exit 1; \
	done

cluster: build
	@tests/cluster/setup.sh
	@ctest --test-dir $(BUILD) -L cluster --output-on-failure --no-tests=error

campaign: TARGETS := retain
campaign: build
	@python3 tests/launch/recovery.py $(BUILD)/launch/retain $(or $(KILLS),300) $(or $(SEED),1)

demo pretrain study: TARGETS := retain make_world
demo: build
	@examples/tiny/demo.sh $(BUILD)

pretrain: build
	@examples/tiny/pretrain.sh $(BUILD)

study: build
	@examples/tiny/study.sh $(BUILD)

bench:
	@$(MAKE) build PRESET=bench
	@bench/run.sh build/bench

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf build

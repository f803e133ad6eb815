# The front door. CMake and Ninja do the work; each target that needs it installs what is missing first (scripts/setup.sh).
#   make          build/hone and build/libhonegpu.so
#   make check    every test
#   make demo     hone optimize on three examples
#   make install  PREFIX=/usr/local DESTDIR=
#   make bench    the benchmarks of bench/ (results in docs/performance.md)
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: all setup check demo install bench clean
all: setup
	@scripts/configure.sh $(BUILD)
	@cmake --build $(BUILD) -j $(JOBS)

setup:
	@scripts/setup.sh $(BUILD)

check: setup
	@scripts/check.sh $(BUILD) $(JOBS)

demo: all
	@scripts/demo.sh $(BUILD)

install: all
	@DESTDIR="$(DESTDIR)" cmake --install $(BUILD) --prefix "$(PREFIX)"

bench: all
	@scripts/bench.sh $(BUILD)

clean:
	rm -rf $(BUILD)

# The front door. CMake and Ninja do the work; each target that needs it installs what is missing first (scripts/setup.sh).
#   make          build/hone and build/libhonegpu.so
#   make check    every test
#   make demo     hone optimize on three examples
#   make install  PREFIX=/usr/local DESTDIR=
#   make docs    the generated pages of docs/ (ptx-support.md)
#   make soak    a million random operands per rounded instruction against MPFR (minutes)
#   make bench    the benchmarks of bench/ (results in docs/performance.md)
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: all setup check demo install bench docs soak clean
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

docs: all
	@$(BUILD)/hone-ptx-coverage --support > docs/ptx-support.md

soak: setup
	@scripts/configure.sh $(BUILD)/soak -DHONE_TESTS=ON
	@cmake --build $(BUILD)/soak -j $(JOBS) --target vgpu_test_oracle
	@HONE_ORACLE_OPERANDS=$${OPERANDS:-1000000} HONE_ORACLE_REPORT=1 $(BUILD)/soak/vgpu_test_oracle

clean:
	rm -rf $(BUILD)

# The front door. meson and ninja do the work; see meson.build and CONTRIBUTING.md.
BUILD  ?= build
PREFIX ?= /usr/local
PYTHON ?= python3
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)

tools = tools

# Prerequisites run in the order they are written: first the packages, then the configuration that looks for them.
.NOTPARALLEL:
.DEFAULT_GOAL := all
.PHONY: all demo test check bench wheel interop install uninstall clean format help deps-build deps-test deps-check configure configure-tests

all: deps-build configure ## build the command (build/qvk) and the library
	@ninja -C $(BUILD) -j $(JOBS)

demo: deps-test configure ## run the two demonstration models on the Vulkan device found
	@ninja -C $(BUILD) -j $(JOBS)
	@$(tools)/demo.sh $(BUILD)

test: deps-test configure-tests ## run every test; ends with "N passed, N failed"
	@ninja -C $(BUILD) -j $(JOBS)
	@$(tools)/run_tests.sh -C $(BUILD) --setup lavapipe $(swiftshader)

check: deps-check ## everything a change must pass: format, rooms, both compilers, sanitizers, validation layers
	@$(tools)/check.sh

bench: deps-test ## time linears, ceilings beside them (BENCH="--model llama-3.2-1b --m all"): build/bench.json, build/roofline.svg
	@BUILD=$(BUILD) JOBS=$(JOBS) $(tools)/bench.sh $(BENCH)

wheel: deps-build ## build the Python package (dist/qvk-*.whl); pip install ./python does the same
	@mkdir -p dist
	@cd python && $(PYTHON) -c 'import build_backend as b; print("dist/" + b.build_wheel("../dist", {"jobs": "$(JOBS)"}))'

interop: all ## ExecuTorch's own Vulkan tests on qvk, and more (QVK_REFERENCE_PYTHON=python with executorch; a build with -Dexecutorch=)
	@$(tools)/interop/run.sh $(BUILD)

install: all ## install below PREFIX (default /usr/local); DESTDIR is honoured
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD)

uninstall: ## remove what install put there
	@ninja -C $(BUILD) uninstall

clean: ## remove everything built, the private glslang too
	rm -rf build build-check build-bench $(BUILD)

format: ## rewrite the sources in the project's format
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

# Where it is installed, the quick device tests run once more on SwiftShader, the device with the fewest features.
swiftshader = $(if $(wildcard /usr/lib/chromium/vk_swiftshader_icd.json),--setup swiftshader:quick-device)

deps-build deps-test deps-check:
	@$(tools)/install_deps.sh $(@:deps-%=%)

# Configured once, and again when what it looked for came later: the private glslang, or what tests need.
glslang = build/venv-glslang/bin/glslangValidator
configure-tests: options = -Dtests=enabled
configure configure-tests:
	@if [ ! -f $(BUILD)/build.ninja ]; then \
	    meson setup $(BUILD) $(options); \
	elif [ $(glslang) -nt $(BUILD)/build.ninja ] || \
	    { [ -n "$(options)" ] && [ "$$(cat $(BUILD)/meson-info/intro-tests.json)" = '[]' ]; }; then \
	    meson setup --reconfigure $(BUILD) $(options); \
	fi

# `make demo` shows the whole job, `make test` runs every check. Each sets up its own virtual environment first,
# from nothing but Python 3.11; pip's own PIP_* variables (index, cache, links) are honoured.

# The first of the names in $(1) that runs; pyenv's versions are looked at too, as its shims may point nowhere.
interpreter = $(firstword $(foreach name,$(1),$(foreach place,$(name) \
	$(wildcard $(HOME)/.pyenv/versions/$(name:python%=%).*/bin/$(name)),$(shell $(place) -c '' 2>/dev/null && echo $(place)))))

ifndef PYTHON
PYTHON := $(call interpreter,python3.11 python3)
endif
LATER := 3.12 3.13
BASE_TESTS := tests/test_*.py tests/audit tests/cli tests/export tests/graph tests/runtime
export OMP_NUM_THREADS ?= 1

.PHONY: demo firmware-demo test check gate zoo base clean
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PRECIOUS: .venv-base-%/ready

demo: .venv-demo/ready
	.venv-demo/bin/edgeasc demo

# Ten clips through emulated Cortex-M4 firmware; needs gcc-arm-none-eabi and qemu-system-arm, no training packages.
firmware-demo: .venv-firmware/ready
	.venv-firmware/bin/python examples/firmware/hear_scenes.py

test: check base

check: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/pytest -n 2

# The limits of this repository's own models (edgeasc.toml, edgeasc.baseline.json).
gate: .venv/ready
	.venv/bin/edgeasc check

# The table of models/README.md, from the newest result of benchmarks/zoo.py.
zoo: .venv/ready
	.venv/bin/python benchmarks/zoo_table.py

# The base extras alone, installed from a built wheel, on every later interpreter that is here.
base: $(LATER:%=base-%)

base-%:
	@python='$(call interpreter,python$*)'; \
	if [ -z "$$python" ]; then echo "base tests on Python $*: left out, no python$* here"; \
	else $(MAKE) --no-print-directory .venv-base-$*/tested PYTHON="$$python"; fi

# torch first, so that nothing else chooses its build. No TensorFlow and no nncf here.
.venv-demo/ready: setup.cfg constraints.txt
	@echo "setting up .venv-demo with $(PYTHON) (some 1.5 GB, minutes)"
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install -q -c constraints.txt torch
	.venv-demo/bin/python -m pip install -q -c constraints.txt -e '.[train,onnx,tflite,tflm]'
	@touch $@

.venv-firmware/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv-firmware
	.venv-firmware/bin/python -m pip install -q -c constraints.txt -e '.[audio]'
	@touch $@

.venv/ready: setup.cfg constraints.txt
	@echo "setting up .venv with $(PYTHON) (some 4 GB, minutes)"
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q -c constraints.txt torch
	.venv/bin/python -m pip install -q -c constraints.txt -e '.[all,dev]'
	@touch $@

.venv-base-%/ready: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv-base-$*
	.venv-base-$*/bin/python -m pip install -q -c constraints.txt pytest pytest-timeout pytest-xdist hypothesis
	@touch $@

# Always tested again, without the tests marked slow, whose claims do not hang on the version of Python. Skips are judged
# as on a developer's machine, since the extras are left out on purpose.
.venv-base-%/tested: .venv-base-%/ready FORCE
	rm -rf build/lib build/bdist*
	.venv-base-$*/bin/python -m pip wheel -q --no-deps -w build/wheel-$* .
	.venv-base-$*/bin/python -m pip install -q -c constraints.txt --force-reinstall --no-deps build/wheel-$*/edgeasc-*.whl
	.venv-base-$*/bin/python -m pip install -q -c constraints.txt edgeasc
	CI= .venv-base-$*/bin/pytest -n 2 -m 'not slow' $(BASE_TESTS)

.PHONY: FORCE
FORCE:

clean:
	rm -rf .venv .venv-demo .venv-firmware .venv-base-* build dist edgeasc.egg-info

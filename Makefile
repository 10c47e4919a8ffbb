# Every target sets itself up: Python 3.11 to 3.13 with venv and pip, make and the package registry are all it needs.
# Another Python: make test PYTHON=python3.12

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo demo-all test test-all lint docs bench clean
SHELL := /bin/sh

# A stamp says that .venv holds these packages; it names the Python that was asked for, so that another one starts anew.
CHOICE := $(addprefix -,$(subst /,_,$(PYTHON)))
BASE := .venv/.installed-base$(CHOICE)
TRAIN := .venv/.installed-train$(CHOICE)
DEV := .venv/.installed-dev$(CHOICE)
RUN := .venv/bin/python

# Two names for one file: older pip takes the pins of build tools from the first, newer pip from the second.
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
	$(RUN) -m pip install --quiet --no-input -c constraints.txt

help:
	@echo 'make demo      the whole chain into ./demo in four minutes: sample videos, review page, release, training, report'
	@echo 'make demo-all  the same with pre-training and a study: a few minutes more'
	@echo 'make test      the quick tests'
	@echo 'make test-all  every test'
	@echo 'make lint      ruff (lint and format) and mypy'
	@echo 'make docs      the documentation as a site in ./site'
	@echo 'make bench     the benchmarks'
	@echo 'make clean     remove .venv, ./demo and caches'

demo: $(TRAIN)
	.venv/bin/tiktokactions demo -o demo

demo-all: $(TRAIN)
	.venv/bin/tiktokactions demo -o demo --full

# Some of them: make test TESTS=tests/splits
test: $(DEV)
	$(RUN) -m pytest -n 3 --dist loadfile $(TESTS)

test-all: $(DEV)
	$(RUN) -m pytest -n 3 --dist loadfile -m ''

lint: $(DEV)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

docs: $(DEV)
	$(RUN) -m tiktokactions.cli.reference docs/commands.md
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet --strict
	@echo 'open site/index.html'

bench: $(DEV)
	$(RUN) -m benchmarks.curate
	$(RUN) -m benchmarks.people
	$(RUN) -m benchmarks.cuts
	$(RUN) -m benchmarks.dataset_scale
	$(RUN) -m benchmarks.million
	$(RUN) -m benchmarks.review_load
	$(RUN) -m benchmarks.train_step
	$(RUN) -m benchmarks.loader
	$(RUN) -m benchmarks.learn
	$(RUN) -m benchmarks.extrapolate
	$(RUN) -m benchmarks.copies
	$(RUN) -m benchmarks.suggest
	$(RUN) -m benchmarks.floor
	$(RUN) -m benchmarks.weeks
	$(RUN) -m benchmarks.learn_motion
	$(RUN) -m benchmarks.choose

clean:
	rm -rf .venv demo site build dist .pytest_cache .mypy_cache .ruff_cache
	find tiktokactions tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BASE): pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@echo 'installing tiktokactions into .venv ...'
	@$(PIP) -e .
	@touch $@

$(TRAIN): $(BASE)
	@echo 'installing what training needs into .venv ...'
	@$(PIP) -e '.[train]'
	@touch $@

# At once, and compiled when it is first imported: each of these saves a minute.
$(DEV): pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@echo 'installing tiktokactions with what training and its developers need into .venv ...'
	@$(PIP) --no-compile -e '.[train,dev]'
	@touch $(BASE) $(TRAIN) $@

# Keep a .venv that works and was made for the same choice of Python, else make it with the first Python that will do.
define MAKE_VENV
if ls .venv/.installed-base* >/dev/null 2>&1 && ! test -e $(BASE); then rm -rf .venv; fi; \
$(RUN) -c 'import pip' >/dev/null 2>&1 && exit 0; \
for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 || continue; \
	if "$$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
		echo "making .venv with $$python ($$("$$python" -V))"; exec "$$python" -m venv --clear .venv; \
	fi; \
	bare="$$bare $$python"; \
done; \
if test -n "$$bare"; then \
	echo "Found$$bare, but without the modules venv and ensurepip, which Debian and Ubuntu package separately." >&2; \
	echo "Run 'apt install python3-venv' as root, or name another Python: make PYTHON=/path/to/python3" >&2; \
else \
	echo "No Python 3.11, 3.12 or 3.13 among: $(or $(PYTHON),python3 python3.13 python3.12 python3.11)" >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; \
fi; \
exit 1
endef

# make demo   install what is pinned, run the embedded default, write the report
# make test   install, run the tests; with STUDY=co those of the house and of one study
# make study  with NAME=radio copy the example study under a new name: docs/new-study.md
# make gpu-smoke   install, check the CUDA path on a GPU (benchmarks/README.md)
# Options: STUDY=co (one study), CORES=4, PYTHON=python3.12, VENV=.venv
PYTHON ?= python3
VENV ?= .venv
CORES ?= $(shell nproc)
STUDY ?=
BIN := $(VENV)/bin
RUN := results/demo
SNAKEMAKE := $(BIN)/snakemake --profile profiles/local --cores $(CORES) --config run=demo size=demo $(if $(STUDY),'studies=[$(STUDY)]')

.PHONY: help demo test study test-faults gpu-smoke lint docs envs clean
help:
	@sed -n 's/^# //p' Makefile

demo: $(VENV)/.installed
	$(SNAKEMAKE)
	@if [ ! -e $(RUN)/report.zip ] || [ $(RUN)/summary.md -nt $(RUN)/report.zip ]; then \
	    $(SNAKEMAKE) --report $(RUN)/report.zip >$(RUN)/report.log 2>&1 || { cat $(RUN)/report.log; exit 1; }; \
	    rm -rf $(RUN)/report && $(BIN)/python -m zipfile -e $(RUN)/report.zip $(RUN); fi
	@cat $(RUN)/summary.md
	@echo "Report: $(RUN)/report/report.html (one file to pass on: $(RUN)/report.zip)"

test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -n 2 \
	    --dist loadfile --no-loadscope-reorder -m "not faults or ci" $(if $(STUDY),--study $(STUDY))

study:
	@$(PYTHON) scripts/copy_study.py $(NAME)

# The full table of interruptions and faults; three of them are in `make test`.
test-faults: $(VENV)/.installed-test
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest -m faults

gpu-smoke: $(VENV)/.installed
	$(BIN)/python benchmarks/gpu_smoke --out results/gpu_smoke

lint: $(VENV)/.installed-test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/snakefmt --check Snakefile workflow tests/studies

docs: $(VENV)/.installed
	$(BIN)/python docs/generate_config.py

envs: $(VENV)/.installed-test
	$(BIN)/python envs/generate.py --lock

clean:
	rm -rf $(VENV)

$(VENV)/.installed: pyproject.toml envs/lock.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/lock.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/lock.txt --editable '.[test]'
	@touch $@

# make demo   install what is pinned, run the embedded default, write the report
# make test   install, run the tests; with STUDY=co the shared ones and those of one study
# make study  with NAME=radio copy the example study under a new name: docs/new-study.md
# make gpu-smoke   install, check the CUDA path on a GPU (benchmarks/README.md)
# make results  with RUN=results/three_seeds write docs/results and README's table from that run
# Options: STUDY=co (one study), CORES=4, PYTHON=python3.12, VENV=.venv
PYTHON ?= python3
VENV ?= .venv
# nproc would take OMP_NUM_THREADS, which many a login node sets, for the number of cores
CORES ?= $(shell env -u OMP_NUM_THREADS nproc)
STUDY ?=
BIN := $(VENV)/bin
DEMO := results/demo
RUN ?= $(DEMO)
SNAKEMAKE := $(BIN)/snakemake --profile profiles/local --cores $(CORES) --config run=demo size=demo $(if $(STUDY),'studies=[$(STUDY)]')

# packages of the site, and those below HOME, would replace those of the environment
unexport PYTHONPATH
export PYTHONNOUSERSITE = 1
export PYTHONUTF8 = 1

.PHONY: help demo results test study test-faults gpu-smoke lint docs envs clean
help:
	@sed -n '/^PYTHON/q; s/^# //p' Makefile

# the report is one file that opens by itself; an error in a caption is one of the report
demo: $(VENV)/.installed
	$(SNAKEMAKE)
	@if [ ! -e $(DEMO)/report.html ] || [ $(DEMO)/run.json -nt $(DEMO)/report.html ]; then \
	    echo "writing $(DEMO)/report.html"; \
	    $(SNAKEMAKE) --report $(DEMO)/report.html >$(DEMO)/report.log 2>&1 \
	        && ! grep -q '(ERROR/' $(DEMO)/report.log \
	        || { cat $(DEMO)/report.log; rm -f $(DEMO)/report.html; exit 1; }; \
	    for page in summary index; do $(BIN)/python scripts/write_$$page.py --results $(DEMO); done; fi
	@cat $(DEMO)/summary.md

results: $(VENV)/.installed
	$(BIN)/python scripts/write_results.py --results $(RUN)

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
	@echo "installing into $(VENV) (about 1 minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/lock.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/lock.txt --editable '.[test]'
	@touch $@

# Two commands suffice: `make demo` and `make test`. Each first sets up what is missing (.venv).
# Everything below can be typed by hand after `source .venv/bin/activate`.
PYTHON ?= python3
STUDY ?= head_ct
MODEL ?= models/phantom/cae.onnx
export PATH := $(CURDIR)/.venv/bin:$(PATH)
INSTALLED := .venv/installed

.PHONY: demo test check ui bench wheel study crossval

demo: $(INSTALLED)  ## train, compare, export; then score a folder of made-up scans
	dvc repro
	rm -rf demo/scans demo/scans-truth && python -m infer.phantom demo/scans
	uad-infer demo/scans --model $(MODEL) --out demo/results --overlays all --overwrite
	@cat docs/demo.txt

test: $(INSTALLED)  ## every test; one thread each, so that two at a time share two cores
	OMP_NUM_THREADS=1 pytest -n 2 --dist worksteal

check: $(INSTALLED)  ## style, types, and which package may import which
	ruff check . && ruff format --check . && mypy && lint-imports

ui: $(INSTALLED)  ## the MLflow pages on http://127.0.0.1:5000
	mlflow ui --host 127.0.0.1 --port 5000 --workers 1 --backend-store-uri sqlite:///$(CURDIR)/mlruns/mlflow.db

bench: $(INSTALLED)  ## how fast, against a plain script and what this machine allows; how much memory
	python -m benchmarks.bench_infer && python -m benchmarks.bench_volumes && python -m benchmarks.memory && python -m benchmarks.bench_fit

wheel: $(INSTALLED)  ## dist/uad-*.whl: `infer` only, no torch
	rm -rf build && python -m build --wheel

study: $(INSTALLED)  ## another study: make study STUDY=head_ct
	cp dvc.yaml studies/$(STUDY)/dvc.yaml && dvc repro studies/$(STUDY)/dvc.yaml

crossval: $(INSTALLED)  ## the 2×5 cross validation of every method: make crossval STUDY=head_ct
	python -m export.stages.crossval studies/$(STUDY)/params.yaml --keep

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(None if sys.version_info >= (3, 11) else "uad needs Python 3.11 or newer, but $(PYTHON) is " + v + ". Install one and name it: make PYTHON=python3.11 demo")'
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet -c constraints.txt -e '.[train,dev]'
	@touch $@

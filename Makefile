# Everything from a machine with only python3 and make: `make train`, `make test`, `make bench`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
BEAM := .venv-beam
# pip reads dependency groups (PEP 735) since 25.1.
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: train test test-long predict test-all test-peers test-beam torture lint bench profile docs site tutorials clean

train: $(VENV)/installed
	$(BIN)/python examples/train_affectnet.py --preset demo $(ARGS)

# Each file of tests in one of up to four processes: compiling, which takes most of the time, uses one core. What it
# compiles is kept for the next time, see tests/conftest.py. A test of more than ten seconds needs a reason.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 25

test: $(VENV)/tested
	$(PYTEST)

# From command to report: whole runs, killed and resumed, in several processes, examples, programs and pages; and further
# cases of what `make test` shows in few.
test-long: $(VENV)/tested
	$(PYTEST) -m 'long and not slow and not torture'

# A drawn group picture, its faces found and named by the network of `make train`, which is run if need be.
predict: $(VENV)/predicting
	@ls runs/demo-*/summary.json > /dev/null 2>&1 || $(MAKE) train
	$(BIN)/python examples/predict_group.py $(ARGS)

# The exhaustive tests too: longer fuzzing, huge folders, every command of the documentation, the tutorials, the built site.
test-all: $(VENV)/documented
	$(PYTEST) -m 'not peers'
	$(MAKE) test-beam

# Networks of torchvision, timm, ArcFace and AdaFace with their weights, against those of PyTorch itself.
test-peers: $(VENV)/tested $(PEERS)/installed
	JAXFER_PEERS=$(PEERS)/bin/python $(BIN)/python -m pytest tests/models/test_torch_peers.py -m peers

# Preparing in a pipeline of Apache Beam, which wants older releases of protobuf, Arrow and Pillow than other tests have.
test-beam: $(BEAM)/installed
	$(BEAM)/bin/python -m pytest tests/data/test_beam.py

# What docs/trust.md counts: processes killed, power cut, files damaged. 20 to 45 minutes.
torture: $(VENV)/tested
	$(BIN)/python benchmarks/torture.py $(RESULTS)/torture.json
	$(BIN)/python docs/make_trust.py

# What is compared with others, and what has a target; RUNS=3 measures three times what the others take part in.
RUNS ?= 1
RESULTS := benchmarks/results

bench: $(VENV)/installed $(PEERS)/installed
	for run in $$(seq $(RUNS)); do \
	  append=$$(test $$run = 1 || echo --append); \
	  for script in train_step inference data; do \
	    $(BIN)/python benchmarks/$$script.py $(RESULTS)/$$script.json --peers $(PEERS)/bin/python $$append || exit; \
	  done; \
	  $(BIN)/python benchmarks/epoch.py $(RESULTS)/epoch.json $$append || exit; \
	done
	$(BIN)/python benchmarks/prepare.py $(RESULTS)/prepare.json $(PEERS)/bin/python
	$(BIN)/python benchmarks/sweep.py $(RESULTS)/sweep.json --question rates
	$(MAKE) docs

# Where the time of a step goes, what each way to convolve and to use the cores takes, and the published grid as one sweep.
profile: $(VENV)/installed
	$(BIN)/python benchmarks/parts.py $(RESULTS)/parts.json
	$(BIN)/python benchmarks/convolutions.py $(RESULTS)/convolutions.json
	$(BIN)/python benchmarks/devices.py $(RESULTS)/devices.json
	$(BIN)/python benchmarks/scaling.py $(RESULTS)/scaling.json
	$(BIN)/python benchmarks/sweep.py $(RESULTS)/sweep_grid.json --question grid
	$(MAKE) docs

# The pages that are made from measured files.
docs: $(VENV)/installed
	$(BIN)/python docs/make_card.py
	$(BIN)/python docs/make_results.py
	$(BIN)/python docs/make_predict.py
	$(BIN)/python docs/make_export.py
	$(BIN)/python docs/make_performance.py
	$(BIN)/python docs/make_scale.py

# The site, in build/site: a link or a reference that leads nowhere fails. MkDocs's theme warns of a release that is not used here.
site: $(VENV)/documented
	$(BIN)/python docs/make_site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The notebooks, run anew; those with output lie beside them.
tutorials: $(VENV)/tested
	$(BIN)/python docs/make_tutorials.py

lint: $(VENV)/linted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/predicting: pyproject.toml $(VENV)/installed
	$(PIP) install --quiet --editable '.[faces]'
	touch $@

$(VENV)/tested: pyproject.toml $(VENV)/installed
	$(PIP) install --quiet --group test
	touch $@

$(VENV)/linted: pyproject.toml $(VENV)/tested
	$(PIP) install --quiet --group lint
	touch $@

$(VENV)/documented: pyproject.toml $(VENV)/tested
	$(PIP) install --quiet --group site
	touch $@

$(PEERS)/installed: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	touch $@

$(BEAM)/installed: pyproject.toml
	$(PYTHON) -m venv $(BEAM)
	$(BEAM)/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[beam]' pytest hypothesis
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) $(BEAM) build .pytest_cache .ruff_cache .hypothesis

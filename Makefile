# make demo        segments a made-up head and says where the results are
# make web         opens the page, in an environment of its own in .venv/web
# make test        style, types and all tests
# make test-fast   style, types and what is quick of each part of the tests
# make test-web    the page in chromium, which `make test` leaves out
# make test-slicer SLICER=~/Slicer
#                  the tests of the Slicer module, with the Python files of a source tree of 3D Slicer
# make docs        serves the documentation, with a reference of the library, on this computer
# make docs-check  builds it; fails at every warning and at links that lead nowhere
# make publish-tree DEST=../SlicerTumorSeg
#                  writes the tree of a fresh repository's first commit, and checks it
# make test-wheel  builds the wheel, installs it in an empty environment and uses it from elsewhere
# make fault-injection
#                  every write fails at every call in turn; hours
# make fuzz MINUTES=10
#                  reads damaged inputs for so long, and prints what became of them
# make soak        500 mixed jobs through one worker, and what it holds meanwhile
# make bench       measures beside public peers, for half an hour; writes docs/performance.md
#
# make coverage    all tests again, counting lines and branches that they reach; fails under 90 %
# make mutation MODULE=grid
#                  changes a module in every small way; fails where no test notices
# make audit       bandit over our code, pip-audit over what is installed (asks a service)
# make test-lowest test-newest
#                  the quick tests with the lowest and the newest versions that pyproject.toml allows
#
# All make their own virtual environment in .venv first, `make bench` another one within it. PYTHON names another interpreter (3.11 or
# newer), TORCH another build of PyTorch; the test suite needs no GPU.

PYTHON ?= python3
TORCH ?= torch==2.13.0
ROUNDS ?= 3
MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin
BENCH := $(VENV)/bench
WEB := $(VENV)/web

# Without the limit, pytest-xdist waits for ever for the other tests of the file in which a process
# of its own crashed.
IN_TWO := --numprocesses 2 --dist loadfile --max-worker-restart 0
PYTEST := $(BIN)/python -m pytest $(IN_TWO)

.PHONY: demo web test test-fast test-slicer test-wheel fault-injection fuzz soak bench coverage mutation audit \
	test-lowest test-newest test-web lint docs docs-check pictures publish-tree clean

demo: $(VENV)/installed
	$(BIN)/tumorseg demo --overwrite

web: $(WEB)/installed
	$(WEB)/bin/tumorseg web

test-web: $(WEB)/installed
	$(WEB)/bin/python -m pip install --quiet --disable-pip-version-check pytest pytest-timeout playwright
	$(WEB)/bin/python -m pytest Testing/test_web*.py

test: $(VENV)/installed-for-tests lint
	$(PYTEST)

test-fast: $(VENV)/installed-for-tests lint
	$(PYTEST) -m "not slow"

test-slicer: $(VENV)/installed-for-tests
	TUMORSEG_SLICER_SOURCE="$(SLICER)" $(PYTEST) Testing/test_slicer_*.py

test-wheel:
	PYTHON="$(PYTHON)" TORCH="$(TORCH)" .ci/wheel

fault-injection: $(VENV)/installed-for-tests
	$(BIN)/python Testing/fault_injection.py

fuzz: $(VENV)/installed-for-tests
	PYTHONPATH=Testing $(BIN)/python -m fuzz --minutes $(MINUTES)

soak: $(VENV)/installed-for-tests
	$(BIN)/python benchmarks/soak.py

bench: $(BENCH)/installed
	$(BENCH)/bin/python benchmarks/bench.py --rounds $(ROUNDS) $(if $(ONLY),--only $(ONLY))

coverage: export COVERAGE_FILE := $(CURDIR)/$(VENV)/coverage/data
coverage: $(VENV)/installed-for-quality
	rm -rf $(VENV)/coverage && mkdir $(VENV)/coverage
	$(BIN)/coverage run -m pytest $(IN_TWO)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet -o $(VENV)/coverage/all.json
	$(BIN)/python tools/coverage_by_package.py $(VENV)/coverage/all.json

mutation: $(VENV)/installed-for-quality
	$(BIN)/python tools/mutation.py "$(MODULE)"

audit: $(VENV)/installed-for-quality
	$(BIN)/bandit --quiet -c pyproject.toml -r TumorSegLib training/tumorseg_training TumorSeg tools
	$(BIN)/pip-audit --local --skip-editable --strict

test-lowest test-newest:
	PYTHON="$(PYTHON)" TORCH="$(TORCH)" .ci/versions $(@:test-%=%)

lint: $(VENV)/installed-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=training:TumorSeg $(BIN)/lint-imports --no-cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "TumorSeg needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Python's venv is missing; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/installed: pyproject.toml setup.py | $(VENV)/bin/python
	@echo "installing PyTorch and what TumorSeg needs into $(VENV): 1.5 GB; a minute or two, and the download"
	$(BIN)/python -m pip install --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --disable-pip-version-check --editable ".[report]"
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[slicer,train,dicom,report,shell,cohort,node,server,dev]"
	@touch $@

$(VENV)/installed-for-quality: $(VENV)/installed-for-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[quality]"
	@touch $@

# A peer that does not install beside this PyTorch is left out of the table.
$(BENCH)/installed: pyproject.toml benchmarks/peers.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" --editable ".[train,dicom]"
	while read -r peer; do \
		$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" "$$peer" \
			|| echo "left out: $$peer"; \
	done < benchmarks/peers.txt
	@touch $@

$(WEB)/installed: pyproject.toml setup.py | $(VENV)/bin/python
	@echo "installing PyTorch, VTK and 3D Slicer's library into $(WEB): 2.4 GB; a minute or two, and the download"
	$(PYTHON) -m venv $(WEB)
	$(WEB)/bin/python -m pip install --disable-pip-version-check "$(TORCH)"
	$(WEB)/bin/python -m pip install --disable-pip-version-check "$(TORCH)" --editable ".[web,dicom,report]"
	@touch $@

$(VENV)/installed-for-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[docs]"
	@touch $@

docs: $(VENV)/installed-for-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

docs-check: $(VENV)/installed-for-docs $(VENV)/installed-for-tests
	$(BIN)/python -m pytest Testing/test_docs_site.py

pictures: $(VENV)/installed-for-tests
	TUMORSEG_PICTURES=docs/images $(BIN)/python -m pytest Testing/test_slicer_pictures.py
	$(BIN)/python tools/report_pictures.py docs/images

publish-tree:
	$(PYTHON) tools/publish_tree.py "$(DEST)"

clean:
	rm -rf $(VENV) build *.egg-info demo

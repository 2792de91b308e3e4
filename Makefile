# Two commands matter: `make run` and `make test`. Both create .venv with the pinned set first.
VENV := .venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -n)

.PHONY: site run test test-fast test-slow test-browser lint install clean
install: $(VENV)/.installed
$(VENV)/.installed: pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

run: install
	$(VENV)/bin/ganbench run --suite all --scale quick $(ARGS)

lint: install
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

test: lint
	$(PYTEST) -n 2 -m "not slow and not browser" $(ARGS)

# In a minute or so: what algorithms are made of, the core that trains no job, and every model's contract on points.
FAST := tests/nn tests/losses tests/ops tests/contracts/test_every_model.py tests/test_import_direction.py \
  tests/test_registry.py tests/test_make.py tests/engine/test_engine.py tests/jobs/test_records.py
test-fast: lint
	$(PYTEST) -n 2 -m "not slow and not browser" -k "not test_a_fact or vector" $(FAST) $(ARGS)

test-slow: install
	$(PYTEST) -n 2 -m slow $(ARGS)

# Debian's chromium, driven headless; where it cannot be installed the tests skip and say so.
test-browser: install
	@command -v chromedriver >/dev/null || { $(SUDO) apt-get update -qq && \
	  $(SUDO) apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >/dev/null || \
	  echo "chromium and chromium-driver could not be installed: the browser tests will skip" >&2
	$(PYTEST) -m browser tests/boards -rs $(ARGS)

# The static site of all boards, models, metrics and the documentation, in site/.
site: install
	$(VENV)/bin/ganbench site build site $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info

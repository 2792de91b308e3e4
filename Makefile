# Two commands matter: `make run` and `make test`. Both create .venv with the pinned set first.
VENV := .venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest

.PHONY: run test test-slow test-browser lint install clean
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

test-slow: install
	$(PYTEST) -n 2 -m slow $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info

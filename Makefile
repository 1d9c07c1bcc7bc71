# make demo   what the tool says about the sample servers
# make test   every check that a commit has to pass
# make lint   those of them that take no time
#
# Needs Python 3.11 or later: make PYTHON=python3.12 ...

PYTHON ?= python3

# The tests in tests/live ask a real Active Directory. They need Samba (.ci/run lists the packages; without it they
# skip) and python-gssapi, which pip compiles on Linux. So it is installed where its compiler and headers are; having
# installed those later on, run: make --always-make .venv/.installed
comma := ,
EXTRAS := dev$(and $(shell command -v krb5-config 2>/dev/null),$(shell command -v cc 2>/dev/null),$(comma)live)

SAMPLES := sample_configs

.PHONY: demo test lint

# Exit code 1 means "there are findings", and the samples have some.
demo: .venv/.installed
	.venv/bin/iis-spn inspect '$(SAMPLES)/*' --ad $(SAMPLES)/directory.ldif --dns $(SAMPLES)/zone.txt \
		--farm $(SAMPLES)/farm.toml || [ $$? -eq 1 ]

test: lint
	.venv/bin/pytest

lint: .venv/.installed
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -e '.[$(EXTRAS)]'
	touch $@

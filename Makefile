# make demo     what the tool says about the sample servers; no more than the tool itself is installed
# make test     every check that a commit has to pass
# make lint     those of them that take no time
# make fuzz    an hour of hostile files and answers for every reader (Linux): MINUTES=5 each, TARGETS="zone LDIF"
# make wheelhouse   dist/wheelhouse: what a Windows server without Internet installs it from (docs/install.md)
# make newest   the tests with the newest versions that pyproject.toml allows; the others install what was tested
#
# Needs Python 3.11 or later: make PYTHON=python3.12 ...

PYTHON ?= python3

# The tests in tests/live ask a real Active Directory. They need Samba (.ci/run lists the packages; without it they
# skip) and python-gssapi, which pip compiles on Linux. So it is installed where its compiler and headers are; having
# installed those later on, run: make --always-make .venv/.test
comma := ,
EXTRAS := dev$(and $(shell command -v krb5-config 2>/dev/null),$(shell command -v cc 2>/dev/null),$(comma)live)

SAMPLES := sample_configs

# Whole files of tests side by side, one for each core. One after the other: make test PARALLEL=
PARALLEL := --numprocesses auto --dist loadgroup

.PHONY: demo test lint fuzz newest wheelhouse

# Exit code 1 means "there are findings", and the samples have some.
demo: .venv/.demo
	.venv/bin/iis-spn inspect '$(SAMPLES)/*' --ad $(SAMPLES)/directory.ldif --dns $(SAMPLES)/zone.txt \
		--farm $(SAMPLES)/farm.toml || [ $$? -eq 1 ]

test: lint
	.venv/bin/pytest $(PARALLEL)

lint: .venv/.test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

fuzz: .venv/.fuzz
	.venv/bin/python -m tests.fuzz $(and $(MINUTES),--minutes $(MINUTES)) $(TARGETS)

# What a server needs that inspects itself and asks its domain; WHEELHOUSE_EXTRAS=ldap,sweep for one that sweeps.
WHEELHOUSE_EXTRAS := ldap

wheelhouse: .venv/.release
	.venv/bin/python -m release.wheelhouse dist/wheelhouse --extras '$(WHEELHOUSE_EXTRAS)'

newest:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/pip install -q -e '.[$(EXTRAS)]'
	@echo 'Newer here than in constraints.txt:'
	@.venv-newest/bin/pip freeze --exclude-editable | grep -vxFf constraints.txt || echo nothing
	.venv-newest/bin/pytest -q $(PARALLEL) --ignore=tests/live

.venv/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -c constraints.txt -e .
	touch $@

# What the role in ansible/ is tested with: it shares nothing with the program, and is as large again.
.venv-ansible/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-ansible
	.venv-ansible/bin/pip install -q -c constraints.txt -e '.[ansible]'
	touch $@

.venv/.fuzz: .venv/.test
	.venv/bin/pip install -q -c constraints.txt -e '.[fuzz]'
	touch $@

.venv/.release: .venv/.demo
	.venv/bin/pip install -q -c constraints.txt -e '.[release]'
	touch $@

.venv/.test: .venv/.demo
	.venv/bin/pip install -q -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

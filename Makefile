# make run      the whole platform with demo data; PORT and KRAKAPP_HOME choose where
# make test     every test, browser journeys included
# make check    linters, types, contracts, missing migrations, deployment settings
# make bench    measurements
# make soak     kills at random for long; SECONDS and SEED choose how long, and which dice
# make mutants  mistakes planted one at a time where money is; ONLY chooses modules

PYTHON ?= python3
VENV := .venv
IN := $(VENV)/bin
MADE := $(VENV)/made-from-requirements

# What production must at least say; these secrets are made up each time, and guard nothing.
SECRET = $(shell $(PYTHON) -c 'import secrets; print(secrets.token_hex(32))')
PRODUCTION = KRAKAPP_DEMO=0 PRICE_FEED=kraken ALLOWED_HOSTS=krakapp.test TRUSTED_PROXIES=10.0.0.0/8 \
	SECRET_KEY=$(SECRET) BANK_WEBHOOK_SECRET=$(SECRET) CARD_WEBHOOK_SECRET=$(SECRET) \
	PERSONAL_DATA_KEYS=$(SECRET)

.PHONY: run test check bench soak mutants

run: export KRAKAPP_DEMO ?= 1
run: $(MADE)
	@$(IN)/python manage.py up

test: $(MADE)
	@$(IN)/python -m tests.chromium
	@$(IN)/pytest -q -n 2

# Nothing below touches a running platform: the checks have a home and secrets of their own.
check: export KRAKAPP_HOME := $(CURDIR)/var/check
check: export KRAKAPP_DEMO := 1
check: $(MADE)
	@$(IN)/ruff check .
	@$(IN)/ruff format --check .
	@$(IN)/lint-imports --no-logo
	@$(IN)/djlint templates --check --quiet
	@$(IN)/djlint templates --lint --quiet
	@$(IN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@$(PRODUCTION) $(IN)/python manage.py check --deploy --fail-level WARNING
	@$(IN)/mypy .

bench: export KRAKAPP_DEMO ?= 1
bench: $(MADE)
	@$(IN)/python -m bench

soak: export SECONDS ?= 600
soak: export SEED ?=
soak: $(MADE)
	@$(IN)/pytest -q -s tests/journeys/test_kills_at_random.py

mutants: export ONLY ?=
mutants: $(MADE)
	@$(IN)/python -m pip install --quiet --disable-pip-version-check -r tests/mutants/requirements.txt
	@$(IN)/python -m tests.mutants

$(MADE): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "KrakApp needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3")'
	@$(IN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(IN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

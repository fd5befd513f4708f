# Python's packages live in .venv; MicroPython, mosquitto and bytecode in the user's cache, which all
# checkouts share. With COLDTRAIL_CACHE=.tools they are kept in this checkout instead.
SHELL := /bin/sh
VENV  := .venv
BIN   := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
PYTEST_ARGS ?=
ifdef COLDTRAIL_CACHE
# Programs are started in other folders, too.
override export COLDTRAIL_CACHE := $(abspath $(COLDTRAIL_CACHE))
endif
# Tests start hundreds of programs, and the firmware imports its modules again and again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv tools lint format quick test renode torture demo flash bench-size bench-flash bench-heap bench-gateway bench-tower clean

help: ## list the targets, and what can be set
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@printf '\nTo be set in the environment, or after the target as NAME=value:\n'
	@awk '/^## [A-Z]/ { sub(/^## /, "  "); print }' Makefile

## PYTHON           the Python that makes .venv, 3.11 or newer
## COLDTRAIL_CACHE  folder for MicroPython, mosquitto and bytecode [~/.cache/coldtrail]
## MICROPYTHON      a MicroPython 1.24 or newer to run the firmware on; MICROPYTHON32 a 32-bit one
## MOSQUITTO        a mosquitto 2.0.11 or newer; each of the three may be a command with arguments
## PYTEST_ARGS      what else quick and test give to pytest, such as PYTEST_ARGS="-k flight"
## CI               with CI=true a skipped test fails unless tests/allowed_skips.txt names it
## COLDTRAIL_TORTURE  with COLDTRAIL_TORTURE=1 tests run all of their cases, not a slice; so does torture
## COLDTRAIL_BROKER and COLDTRAIL_DB are what coldtrail takes for --broker and --db
## COLDTRAIL_TOKEN  a session or token: coldtrail gateway acts as whom it speaks for, not as the user at the terminal
## COLDTRAIL_PEOPLE_KEY  the file with the key that seals second factors [~/.local/share/coldtrail/people.key]
## COLDTRAIL_ANCHORS, COLDTRAIL_ANCHOR_KEY, COLDTRAIL_ANCHOR_PUBLIC_KEY and COLDTRAIL_TSA are what coldtrail gateway audit takes
## COLDTRAIL_CA, COLDTRAIL_CERT and COLDTRAIL_KEY are what coldtrail takes for --ca, --cert and --key
## XDG_DATA_HOME    where gateway, console and packing line keep their data [~/.local/share]
## PORT, BOARD, IDENTITY, MICROPYTHON      of flash: see there
## MICROPYTHON_NRF, RENODE_TEST            of renode: see there
## HOURS            of bench-tower: how many hours of the fleet are archived beforehand

# Checked only where something is missing, so that a second run costs nothing.
define check_host
"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Python 3.11 or newer is missing: install it (Debian: apt-get install python3 python3-venv) or name one with make PYTHON=/path/to/python3." >&2; exit 1; }; \
"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)." >&2; exit 1; }; \
command -v git >/dev/null || { echo "git is missing: install it (Debian: apt-get install git)." >&2; exit 1; }
endef

# MicroPython's stubs stay out of site-packages, where they would pose as time, select and os.
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check install

$(VENV)/.locked: requirements.lock
	@$(check_host)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "creating $(VENV)"; "$(PYTHON)" -m venv --clear $(VENV); }
	@echo "installing the packages of requirements.lock into $(VENV)"
	@awk '/^[^ ]/ { stub = /^micropython-/ } { print > ("$(VENV)/" (stub ? "stubs" : "host") ".lock") }' requirements.lock
	@$(PIP) --require-hashes -r $(VENV)/host.lock
	@rm -rf $(VENV)/typings
	@$(PIP) --require-hashes --no-deps --target $(VENV)/typings -r $(VENV)/stubs.lock
	@touch $@

# What pip install . or python -m build has left here would hide what is installed now.
$(VENV)/.installed: pyproject.toml $(VENV)/.locked
	@rm -rf coldtrail.egg-info
	@$(PIP) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

venv: $(VENV)/.installed ## create .venv from requirements.lock

clean: ## remove what was built, keep the downloads
	rm -rf out build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find firmware simulator gateway boards tests -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

tools: venv ## fetch the MicroPython interpreters and mosquitto where absent
	@$(BIN)/python -m coldtrail_simulator.services.tools

# mypy knows no mapping of a folder to a package of another name, but it follows a link.
build/names: Makefile
	@rm -rf $@ && mkdir -p $@
	@for part in boards gateway simulator; do ln -s "../../$$part" "$@/coldtrail_$$part"; done

lint: venv build/names ## ruff and mypy, host and firmware
	@failed=0; \
	$(BIN)/ruff check --quiet || failed=1; \
	$(BIN)/ruff format --check --quiet || { echo "run 'make format'" >&2; failed=1; }; \
	$(BIN)/mypy || failed=1; \
	$(BIN)/mypy --config-file firmware/mypy.ini || failed=1; \
	exit $$failed

format: venv ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

quick: venv tools ## run the laws only: what must always hold, in a minute or two
	@$(BIN)/pytest -n 2 --dist loadfile -m quick $(PYTEST_ARGS)

test: venv tools ## run every test
	@failed=0; \
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS) || failed=1; \
	$(BIN)/python -m tests.torture.power_cuts --share 0.044 || failed=1; \
	exit $$failed

RENODE_TEST ?= renode-test
renode: venv tools ## the cases on a chip in Renode: MICROPYTHON_NRF=firmware.hex [RENODE_TEST=renode-test]
	@$(BIN)/python -m tests.renode.run --micropython "$(MICROPYTHON_NRF)" --renode-test "$(RENODE_TEST)"

torture: venv tools ## everything of which test runs a slice: all power cuts, all faults of the modem, 20 seeds, a million byte strings, a million blocks
	@$(BIN)/python -m tests.torture.exchanges
	@COLDTRAIL_TORTURE=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --timeout 3600 -m torture
	@$(BIN)/python -m tests.torture.power_cuts

bench-size: venv ## bytes a reading, against six other formats
	@$(BIN)/python -m tests.bench.size

bench-flash: venv ## the flash log against littlefs on the same NOR model
	@$(BIN)/python -m tests.bench.flash

bench-heap: venv tools ## the smallest heap in which the story passes on 32 bit
	@$(BIN)/python -m tests.bench.heap

bench-gateway: venv ## blocks a second beside 10,000 and 1,000,000 archived, SQLite and PostgreSQL
	@$(BIN)/python -m tests.bench.gateway

HOURS ?= 6
bench-tower: venv ## the read model of 10,000 trackers, SQLite and PostgreSQL: kept beside ingest, asked [HOURS=6; the goal speaks of 72]
	@$(BIN)/python -m tests.bench.tower --hours $(HOURS)

BOARD ?= esp32_bg95
flash: venv ## flash a tracker: PORT=… MICROPYTHON=ESP32_GENERIC-….bin [BOARD=…] [IDENTITY=…]
	@$(BIN)/coldtrail flash --board "$(BOARD)" --micropython "$(MICROPYTHON)" \
		$(if $(PORT),--port "$(PORT)",--all-ports) $(if $(IDENTITY),--identity "$(IDENTITY)")

demo: venv ## run the customs-hold story and show the result
	@$(BIN)/python -m coldtrail_simulator.services.tools micropython mosquitto
	@$(BIN)/coldtrail simulate customs_hold

# Targets that need the environment make it themselves; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
EXTRAS := bridges,maps,sim,learn,web,dev
PYTEST_ARGS ?=
# Most tests wait for real brokers, servers and browsers: more of them than cores go side by side.
WORKERS ?= 3

# Brokers are often installed where an ordinary user's PATH does not look.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:$(shell brew --prefix 2>/dev/null)/sbin

.DEFAULT_GOAL := help
.PHONY: help setup test demo lint format types contracts schema factory wheel bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s%s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## make .venv and see to the system parts that tests and demo want
	@.ci/system-parts broker
	@.ci/system-parts opcua
	@.ci/system-parts gltf
	@.ci/system-parts browser
	@.ci/system-parts display
	@.ci/system-parts storm $(BIN)/python

$(STAMP): pyproject.toml constraints.txt
	@.ci/system-parts python "$(PYTHON)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

test: setup ## run the tests; PYTEST_ARGS="-k name -m 'not slow'" narrows them
	@# Status 5 says that nothing was selected, which is fine where arguments narrow the tests.
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --side-by-side only $(PYTEST_ARGS) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest --side-by-side never $(PYTEST_ARGS) || [ $$? -eq 5 ]

demo: $(STAMP) ## bring the example plant to life: broker, recorded and simulated data, live stage; PLANT=fleet
	@.ci/system-parts broker
	$(BIN)/stagetwin demo $(if $(PLANT),--plant $(PLANT))

lint: setup ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## ruff: mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## mypy (strict) and pyright
	$(BIN)/mypy
	$(BIN)/pyright

contracts: setup ## import-linter: who may import whom
	$(BIN)/lint-imports

schema: setup ## generate the schema's plugin files and docs/schema.md from schema.usda
	$(BIN)/python stages/make_schema.py

factory: setup ## generate the example plant in place; SIZE=n writes n lines to out/factory-n
	$(BIN)/python stages/factory/make_factory.py \
		$(if $(SIZE),--lines $(SIZE) --out out/factory-$(SIZE))

wheel: setup ## build dist/*.whl through the source distribution and check what it holds
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python .ci/check_wheel.py dist/*.whl

bench: setup ## measure both ways against their peers
	$(BIN)/python -m benchmarks.live_layer
	$(BIN)/python -m benchmarks.mqtt_to_stage
	$(BIN)/python -m benchmarks.opcua_to_stage
	$(BIN)/python -m benchmarks.command_roundtrip
	$(BIN)/python -m benchmarks.orders
	$(BIN)/python -m benchmarks.mirrors
	$(BIN)/python -m benchmarks.gltf
	$(BIN)/python -m benchmarks.rigid
	$(BIN)/python -m benchmarks.web_frame
	$(BIN)/python -m benchmarks.process
	$(BIN)/python -m benchmarks.fork
	$(BIN)/python -m benchmarks.calibrate

clean: ## remove what was built, the environment included
	rm -rf $(VENV) dist build out .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# What people and CI run here. `make` alone lists it. Each target installs what it needs by itself.
# PYTHON chooses the Python that .venv is made with; ARGS goes to pytest, bench or the server.

PY := .venv/bin/python
# JOBS is the number of processes that run tests; 0 runs them in pytest's own, as --pdb needs it.
ARGS ?=
JOBS ?= 3
URL ?= http://127.0.0.1:7000
COMPOSE ?= docker compose

# Tests start hundreds of Python processes; without files of bytecode, each compiles every module.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install install-dev serve run-app run-worker convert start-inference-service \
	stop-inference-service test-inference-service .need-compose test test-fast run-tests \
	test-clients test-api test-kernels check format docs bench chaos abuse clean

help: ## This list
	@echo "Rowcast. make TARGET, for example: make test ARGS='tests/proxy -x'"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) \
		| awk -F'|' '{ printf "%-25s %s\n", $$1, $$2 }'

install: ## Make .venv and install into it (PYTHON=python3.12)
	@scripts/install

install-dev: ## The same, and the developer tools
	@scripts/install --dev

serve: install ## Start server and proxy, print a link and a curl line
	@$(PY) scripts/serve $(ARGS)

run-app: install ## The server alone, in the foreground (PORT=7000)
	@$(PY) inference-api/inference_api_server.py $(ARGS)

run-worker: install ## A backend alone; a server finds it by BACKEND_SOCKET
	@$(PY) inference-api/decode_backend.py $(ARGS)

convert: install ## Pack MODEL into 8 bits below MODEL_ROOT (ARGS)
	@PYTHONPATH=inference-api $(PY) -m rowcast.engine.loading.convert '$(or $(MODEL),storyteller)' \
		--root '$(or $(MODEL_ROOT),$(MODEL_WEKA_DIR),.rowcast)' $(ARGS)

start-inference-service: .need-compose ## Server and proxy in containers
	@$(COMPOSE) up --build --detach --wait

stop-inference-service: .need-compose ## Stop these containers
	@$(COMPOSE) down

test-inference-service: .need-compose ## Check the API of these containers
	@$(COMPOSE) exec -T proxy sh -c 'python - --url http://127.0.0.1:1223 --token \
		"$$(python scripts/jwt_util.py encode "{\"team_id\": \"test-inference-service\"}")"' \
		< tests/test_inference_api.py

.need-compose:
	@$(COMPOSE) version >/dev/null 2>&1 || { echo "This needs Docker with Compose, and" \
		"'$(COMPOSE) version' fails. Without containers: make serve" >&2; exit 1; }

test: install-dev ## All tests (ARGS='-k name' for some)
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-fast: install-dev ## The tests without the slow ones
	@$(PY) -m pytest -m 'not slow' -n $(JOBS) --dist worksteal $(ARGS)

run-tests: test ## The same as test

test-clients: install-dev ## Other people's clients, each in its environment
	@$(PY) tests/clients/run.py $(ARGS)

test-api: install-dev ## The API against its documents (ARGS='--cases 9')
	@LONG=1 PYTHONPATH=tests:inference-api $(PY) tests/documents/test_schemathesis.py $(ARGS)

test-kernels: install-dev ## The kernels for GPUs, with or without one (ARGS)
	@$(PY) tests/engine/kernels/gpu/run.py $(ARGS)

check: install-dev ## ruff, its format, mypy
	@scripts/check

format: install-dev ## Mend what ruff can mend
	@scripts/check --fix

docs: install-dev ## Write the generated pages of docs/ anew
	@$(PY) scripts/docs

bench: ## Measure a running server (URL=… ARGS='--streams 32')
	@scripts/bench --url $(URL) $(ARGS)

chaos: install-dev ## Harm servers, judge bytes: docs/reliability.md
	@$(PY) scripts/chaos $(ARGS)

abuse: install-dev ## Hunt for requests that harm others: docs/abuse.md
	@$(PY) scripts/abuse $(ARGS)

clean: ## Remove caches, logs and builds; .venv stays
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .rowcast build dist
	@find . -path ./.venv -prune -o -path ./.git -prune -o \
		\( -name __pycache__ -o -name '*.egg-info' \) -type d -exec rm -rf {} +

# The ways in. Every target sets up what it needs; a second call does not do it again.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
PEERS := benchmarks/$(VENV)/installed
PORT ?= $(or $(HRFORMER_PORT),8000)

IMAGE ?= hrformer:cpu
SBOM ?= sbom.json
COMPOSE_FILES = -f docker-compose.yml $(shell nvidia-smi >/dev/null 2>&1 && echo "-f docker/compose.gpu.yml") \
  $(if $(API_KEYS),-f docker/compose.keys.yml) $(if $(TRACING),-f docker/compose.tracing.yml)
export API_KEYS TRACING

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

.PHONY: install
install: $(INSTALLED) ## everything into .venv, with the versions of constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@.ci/install $(VENV)
	@touch $@

.PHONY: serve
serve: $(INSTALLED) ## the service on http://localhost:8000 (PORT=8001 for another)
	@$(BIN)/python -c 'import socket, sys; sys.exit(socket.socket().connect_ex(("127.0.0.1", int(sys.argv[1]))) == 0)' $(PORT) \
	  || { echo "Port $(PORT) is taken; choose another: make serve PORT=$$(( $(PORT) + 1 ))" >&2; exit 2; }
	@HRFORMER_PORT=$(PORT) exec $(BIN)/python -m service

.PHONY: test
test: $(INSTALLED) ## all tests but the slow ones (ARGS="-k pose" for some, ARGS="-m slow" for those)
	@.ci/prometheus $(VENV)
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: soak
soak: $(INSTALLED) ## the long tests of the service with their figures, in about twenty minutes on an idle machine
	@$(BIN)/python -m pytest -m slow tests/service/test_soak.py $(ARGS)

.PHONY: bench
bench: $(PEERS) ## images/s over HTTP beside the engine's and other servers', on an idle machine (ARGS="--rounds 1")
	@$(BIN)/python -m benchmarks.service $(ARGS)

.PHONY: bench-ray
bench-ray: $(PEERS) ## images/s of two replicas on Ray against one, on an idle machine (ARGS="--seconds 5 --rounds 1")
	@$(BIN)/python -m benchmarks.replicas $(ARGS)

$(PEERS): $(INSTALLED) benchmarks/install benchmarks/peers/constraints.txt
	@benchmarks/install
	@touch $@

.PHONY: test-docker
test-docker: $(INSTALLED) ## builds the image and brings compose up, where there is a container engine
	@$(BIN)/python -m pytest -m docker tests/deploy $(ARGS)

.PHONY: test-ray
test-ray: $(INSTALLED) ## the service on a Ray cluster of this machine, a replica killed under load; about three minutes
	@$(MAKE) $(PEERS) || echo "NOT CHECKED: the service on Ray, since Ray cannot be installed" >&2
	@$(BIN)/python -m pytest -m ray tests/ray $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## format, lint, types, import layers, Dockerfile, known vulnerabilities
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint docker/Dockerfile && echo "hadolint: docker/Dockerfile is clean"; \
	  else echo "NOT CHECKED: docker/Dockerfile, since hadolint has no build for this platform" >&2; fi
	@$(MAKE) audit

# A mirror of the package index may carry no advisories: that is said, and is no failure of ours.
.PHONY: audit
audit: $(INSTALLED) ## known vulnerabilities of the locked versions
	@said=$$($(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r constraints.txt 2>&1) \
	  && echo "pip-audit: no known vulnerability" \
	  || { case "$$said" in *"known vulnerabilit"*) echo "$$said" >&2; exit 1;; *"could not be audited"*|*onnection*|*imed\ out*) \
	         echo "NOT CHECKED: known vulnerabilities, since the package index gives no advisories here" >&2;; \
	       *) echo "$$said" >&2; exit 1;; esac; }

.PHONY: format
format: $(INSTALLED) ## formats the code and mends what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: lock
lock: $(INSTALLED) ## newest versions into constraints.txt (PIN="torch==2.13.0" holds some back)
	@$(BIN)/python .ci/lock.py $(PIN)
	@$(MAKE) install

.PHONY: dashboard
dashboard: $(INSTALLED) ## Grafana's dashboard from docker/grafana/panels.yml
	@$(BIN)/python docker/grafana/dashboard.py

.PHONY: train
train: $(INSTALLED) ## weights into runs/RECIPE: RECIPE=tiny-pose DATA=folder (ARGS="--minutes 60 --resume")
	@[ -n "$(RECIPE)" ] && [ -n "$(DATA)" ] || { echo "make train RECIPE=tiny-pose DATA=folder-with-labelled-pictures" >&2; exit 2; }
	@$(BIN)/hrformer train $(RECIPE) --data "$(DATA)" --output runs/$(RECIPE) $(ARGS)

.PHONY: up
up: ## service, Prometheus and Grafana in containers, with the GPU where there is one (API_KEYS=keys.txt: keys; TRACING=1: traces)
	@docker compose version >/dev/null 2>&1 || { echo "make up needs Docker with Compose v2" >&2; exit 2; }
	REVISION=$$(git rev-parse HEAD 2>/dev/null) docker compose $(COMPOSE_FILES) up --build --detach --wait

.PHONY: down
down: ## stops what make up started; its data stays
	docker compose $(COMPOSE_FILES) down

.PHONY: sbom
sbom: ## all that is in the image, as CycloneDX JSON in sbom.json (IMAGE=hrformer:cuda for the other)
	@docker image inspect $(IMAGE) >/dev/null || { echo "there is no image $(IMAGE) here; make up builds it" >&2; exit 2; }
	@docker run --rm --interactive --network none $(IMAGE) python - <docker/sbom.py >$(SBOM)
	@echo "$(SBOM) lists what is in $(IMAGE)"

.PHONY: clean
clean: ## removes the virtual environment and every cache
	rm -rf $(VENV) benchmarks/$(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# make demo | test | lint | viewer: everything is set up on the first call; later calls start in seconds.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3,$(shell command -v $(name) 2>/dev/null)))
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
STAMP := .venv/.synced
CLIP := examples/clip.mp4
DEMO := clip.hsplat
INTEROP := tests/interop
WORKERS ?= 2

export UV_PYTHON_PREFERENCE ?= system
unexport VIRTUAL_ENV

.PHONY: demo test test-interop lint viewer sync clean

demo: $(STAMP)
	$(BIN)/hsplat-pipeline run $(CLIP) --workspace $(DEMO) --device cpu
	@echo "Your own clip: $(UV) run hsplat-pipeline run myvideo.mp4"

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

# Other programs read what `export` writes: Blender, viewers in Chromium. 1.1 GB on the first call.
test-interop: $(STAMP) $(INTEROP)/.blender/.synced $(INTEROP)/node_modules/.package-lock.json
	$(BIN)/python -m pytest -m interop $(INTEROP)

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# viewer.html's program, from its JavaScript: docs/viewer.md. Needs Node.js 20 or newer, with npm.
viewer:
	cd stages/export/viewer/web && npm ci --ignore-scripts --no-audit --no-fund && npm run --silent build

sync: $(STAMP)

clean:
	rm -rf .venv .uv $(DEMO) $(INTEROP)/.blender $(INTEROP)/node_modules

# The packages of the lock file, all extras included.
$(STAMP): pyproject.toml uv.lock | $(UV)
	$(UV) sync --all-extras --locked
	touch $@

# Blender as a Python package wants Python 3.11 and an old numpy: an environment of its own, made with pip, since
# uv would apply the overrides of this project here too.
$(INTEROP)/.blender/.synced: $(INTEROP)/requirements.txt | $(UV)
	$(UV) venv --quiet --clear --seed --python 3.11 $(@D)
	$(@D)/bin/python -m pip install --quiet -r $<
	touch $@

$(INTEROP)/node_modules/.package-lock.json: $(INTEROP)/package-lock.json
	cd $(INTEROP) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

# uv, through pip into the project where it is not installed. Debian's Python may come without venv.
.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed: https://www.python.org/downloads/"; exit 1; }
	$(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet uv || { \
		rm -rf .uv && $(PYTHON) -m pip install --quiet --target .uv uv; }

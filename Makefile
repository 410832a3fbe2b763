# Everything starts from a bare checkout: each target sets up .venv first when it has to.
VENV := .venv/bin
OUT ?= runs/demo
JOBS ?= 2
NEURONS := $(wildcard robobrain/brain/nest_module/*)

.PHONY: demo test lint format protos setup mpi test-mpi clean

demo: .venv/.ready-base  ## the closed loop: the small brain pulls the joystick, recorded, with figures
	@test ! -e $(OUT)/manifest.json || rm -r $(OUT)
	$(VENV)/robobrain run --brain small --trials 10 --seed 1 --out $(OUT)
	@echo "more: . $(VENV)/activate; robobrain report $(OUT); robobrain --help"

test: setup  ## all tests, the slow ones too, JOBS files at a time
	$(VENV)/pytest -n $(JOBS) --dist loadfile

lint: setup  ## style, types, and generated code
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/python scripts/generate_protos.py --check
	$(VENV)/python scripts/check_compatibility.py

format: setup
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .

protos: setup  ## regenerate robobrain/bridge/v1 from protos/
	$(VENV)/python scripts/generate_protos.py

setup: .venv/.ready-dev

mpi: .venv-mpi/.ready  ## NEST with MPI in .venv-mpi: built by pip, or from NEST_MPI_WHEEL=path

.venv-mpi/.ready: pyproject.toml scripts/setup_mpi.sh $(NEURONS)
	./scripts/setup_mpi.sh

test-mpi: mpi  ## the tests of ranks, under SLURM too where it is installed
	.venv-mpi/bin/pytest tests/test_mpi.py tests/test_slurm.py

.venv/.ready-%: pyproject.toml scripts/setup.sh $(NEURONS)
	./scripts/setup.sh $*

clean:
	rm -rf .venv .venv-mpi runs .pytest_cache .mypy_cache .ruff_cache .hypothesis

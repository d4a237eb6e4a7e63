# vidrec: every target is a thin call of the `vidrec` command. `make` alone prints this list.

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= experiments/multiseg_xception/demo.yaml
OUT ?= runs
# DATA (frames, flow, index), VIDEOS and LISTS come from CONFIG unless they are given here.
DATA ?=
VIDEOS ?=
LISTS ?=
DATASET ?= folder
ARCHIVE ?=
ALLOW_MISSING ?=
WORKERS ?=
ENGINE ?=
SHARD ?=
DRY_RUN ?=
REPAIR ?=
PACK ?= $(DATA)-packed
RESUME ?=
SEED ?=
CLIP ?=
# Paths may have spaces, and letters that a shell takes for its own.
quoted = '$(subst ','\'',$(1))'
hash := \#
NAME = $(shell sed -n '/^name:/{s/^name: *//;s/ *$(hash).*//;s/^["'\'']\(.*\)["'\'']$$/\1/;p;}' \
	$(call quoted,$(CONFIG)))
RUN ?= $(OUT)/$(NAME)
MODEL ?= $(RUN)/savedmodel
PYTEST ?=
# Of the tests: each takes up to 4 GB, and all tests of a file are in one.
PROCESSES ?= --numprocesses 2 --dist loadfile

ifneq ($(words $(VENV)),1)
$(error VENV must be one path without spaces, make cannot take others. Received: VENV=$(VENV))
endif
BIN = $(VENV)/bin
VIDREC = $(BIN)/vidrec
READY = $(VENV)/ready
RUFF = $(BIN)/ruff
RULES = --line-length 100
# In a notebook `_exit_code` is that of the last command.
CHECKS = $(RULES) --select E,F,W,I,B,UP,SIM,C4,PT,RET --config 'builtins = ["_exit_code"]'

data = $(if $(DATA),--data $(call quoted,$(DATA)))
videos = $(if $(VIDEOS),--videos $(call quoted,$(VIDEOS)))
lists = $(if $(LISTS),--lists $(call quoted,$(LISTS)))
partial = $(if $(ALLOW_MISSING),--allow-missing)
dataset = $(DATASET) $(call quoted,$(VIDEOS)) $(lists) $(workers)
workers = $(if $(WORKERS),--workers $(WORKERS))
how = $(workers) $(if $(SHARD),--shard $(SHARD)) $(if $(DRY_RUN),--dry-run)
engine = $(if $(ENGINE),--engine $(ENGINE))
config = $(call quoted,$(CONFIG))
seed = $(if $(SEED),--seed $(SEED))
resume = $(if $(RESUME),--resume)
run = $(data) $(lists) --out $(call quoted,$(OUT)) $(seed) $(partial)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup doctor demo test test-slow test-notebooks lint format data-prepare data-check data-show \
	data-preview extract-frames extract-flow audit pack train train-spatial train-temporal evaluate \
	export predict demo-page clean headless

help: ## this list
	@echo "vidrec. Variables: CONFIG VIDEOS DATASET LISTS ARCHIVE DATA OUT SEED WORKERS ENGINE \
	SHARD=i/n DRY_RUN=1 REPAIR=1 PACK RESUME=1 ALLOW_MISSING=1 CLIP RUN MODEL PYTHON VENV"
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | \
		awk -F'|' '{printf "%-22s %s\n", $$1, $$2}'

setup: $(READY) ## the virtual environment, with vidrec and its development tools
$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "vidrec needs Python 3.11 or newer. Received: $$($(PYTHON) --version)." \
		"Try make PYTHON=python3.12"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "Python cannot make a virtual environment." \
		"On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing vidrec into $(VENV) (TensorFlow is large: some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -c 'import cv2' 2>/dev/null || $(MAKE) --no-print-directory headless
	@touch $@

# The usual OpenCV needs libGL and libxcb, which a server may lack; this build does not.
headless:
	@echo "OpenCV does not import here: taking its build without windows"
	@$(BIN)/python -m pip uninstall --quiet --yes opencv-contrib-python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		'opencv-contrib-python-headless>=4.12,<5'
	@$(BIN)/python -c 'import cv2; cv2.optflow.DualTVL1OpticalFlow_create()'

doctor: setup ## looks at this machine and says what to type: packages, OpenCV, GPU, disk
	$(VIDREC) doctor $(data) --out $(call quoted,$(OUT))

demo: setup ## the main job on the embedded data set: clips in, fused accuracy and SavedModel out
	$(VIDREC) demo $(config) $(run) $(workers)

test: setup ## the default tests
	$(BIN)/python -m pytest $(PROCESSES) $(PYTEST)

test-slow: setup ## the tests that take longer
	$(BIN)/python -m pytest -m slow $(PROCESSES) $(PYTEST)

test-notebooks: setup ## the notebooks, from top to bottom, with the time that each takes
	$(BIN)/python -m pytest -m slow tests/test_notebooks.py --durations=0 $(PYTEST)

lint: setup ## style check and format check
	$(RUFF) check $(CHECKS) .
	$(RUFF) format --check $(RULES) .

format: setup ## rewrites the code in the house's format
	$(RUFF) check --fix $(CHECKS) .
	$(RUFF) format $(RULES) .

data-prepare: setup ## DATASET into VIDEOS: fetches it, or takes ARCHIVE, unpacks and checks it
	@test -n $(call quoted,$(VIDEOS)) || { echo "make data-prepare needs VIDEOS=<folder>"; exit 2; }
	$(VIDREC) data prepare $(dataset) $(if $(ARCHIVE),--archive $(call quoted,$(ARCHIVE)))

data-check: setup ## what is there of DATASET in VIDEOS, what is missing or wrong
	@test -n $(call quoted,$(VIDEOS)) || { echo "make data-check needs VIDEOS=<folder>"; exit 2; }
	$(VIDREC) data check $(dataset)

data-show: setup ## a picture of some of VIDEOS, their frames and flow
	@test -n $(call quoted,$(VIDEOS)) || { echo "make data-show needs VIDEOS=<folder>"; exit 2; }
	$(VIDREC) data show $(dataset)

data-preview: setup ## a picture of the clips that CONFIG trains on, augmented, once extracted
	$(VIDREC) data preview $(config) $(data) $(lists) $(seed) $(partial)

extract-frames: setup ## VIDEOS to JPG frames in DATA
	$(VIDREC) extract-frames --config $(config) $(videos) $(lists) $(data) $(how)

extract-flow: setup ## the frames in DATA to TV-L1 flow; VIDEOS=... to frames and flow in one pass
	$(VIDREC) extract-flow --config $(config) $(videos) $(lists) $(data) $(engine) $(how)

audit: setup ## looks at every image in DATA; REPAIR=1 extracts again what is broken
	@test -n $(call quoted,$(DATA)) || { echo "make audit needs DATA=<store>"; exit 2; }
	$(VIDREC) audit $(data) $(workers) $(if $(REPAIR),--repair)

pack: setup ## the images in DATA into TFRecord files in PACK
	@test -n $(call quoted,$(DATA)) || { echo "make pack needs DATA=<store>"; exit 2; }
	$(VIDREC) pack $(data) --out $(call quoted,$(PACK))

train: setup ## all streams that CONFIG trains
	$(VIDREC) train $(config) $(run) $(resume)

train-spatial: setup ## the spatial stream of CONFIG
	$(VIDREC) train $(config) --stream spatial $(run) $(resume)

train-temporal: setup ## the temporal stream of CONFIG
	$(VIDREC) train $(config) --stream temporal $(run) $(resume)

evaluate: setup ## both streams and their fusion on the test videos
	$(VIDREC) evaluate $(config) $(run)

export: setup ## the next version of a SavedModel of the trained RUN, in MODEL
	$(VIDREC) export $(call quoted,$(RUN)) $(call quoted,$(MODEL)) $(data) $(lists)

predict: setup ## the most likely classes of CLIP, a video or a folder of them, by MODEL
	@test -n $(call quoted,$(CLIP)) || { echo "make predict needs CLIP=<video file>"; exit 2; }
	$(VIDREC) predict $(call quoted,$(CLIP)) --model $(call quoted,$(MODEL))

demo-page: setup ## a page in the browser that shows what MODEL makes of a clip
	$(VIDREC) demo-page $(call quoted,$(MODEL))

clean: ## removes caches and build leftovers; keeps data, runs and the environment
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

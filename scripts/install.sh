#!/bin/sh
# Makes a virtual environment and installs exactly what a requirements file pins, by hash.
# Usage: install.sh VENV REQUIREMENTS [--editable]
set -eu
venv=$1 requirements=$2 editable=${3:-}
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }

command -v "$python" >/dev/null 2>&1 || { say "install: no $python on PATH; install Python 3.11 or newer, or set PYTHON"; exit 2; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  say "install: $("$python" --version) is too old; Python 3.11 or newer is needed. Set PYTHON to one, as in: make demo PYTHON=python3.11"
  exit 2
}
rm -f "$venv/.installed"
if ! [ -x "$venv/bin/python" ] && ! "$python" -m venv "$venv" 2>"${TMPDIR:-/tmp}/venv.$$"; then
  cat "${TMPDIR:-/tmp}/venv.$$" >&2
  rm -rf "$venv"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "install: adding Debian's python3-venv"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv
    "$python" -m venv "$venv"
  else
    say "install: $python cannot make a virtual environment; install its venv module (Debian: apt-get install python3-venv)"
    exit 2
  fi
fi
rm -f "${TMPDIR:-/tmp}/venv.$$"
say "install: $requirements into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
# Compiled bytecode halves the time of imports; some machines turn it off in the environment.
UV_COMPILE_BYTECODE=1 VIRTUAL_ENV="$venv" "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r "$requirements"
if [ "$editable" = --editable ]; then
  VIRTUAL_ENV="$venv" "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
fi
touch "$venv/.installed"

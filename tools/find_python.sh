#!/usr/bin/env bash
# Prints the newest Python that maskgrid is tested with, or says in one line how to get one.
# PYTHON=/path/to/python decides otherwise.
set -euo pipefail

readonly HOW="get it from https://www.python.org/downloads (Debian and Ubuntu: apt install python3 python3-venv)"

# A version manager's shim may exist and refuse to run, and Debian ships Python without ensurepip: so each is tried.
suits() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

describe() {
  "$1" -c 'import sys; print("%s is Python %d.%d.%d" % ((sys.executable,) + tuple(sys.version_info[:3])))' 2>/dev/null ||
    echo "$1 does not run"
}

if [[ -n "${PYTHON:-}" ]]; then
  if suits "$PYTHON"; then
    echo "$PYTHON"
    exit 0
  fi
  echo "maskgrid needs Python 3.11 or newer with venv, but $(describe "$PYTHON"): $HOW" >&2
  exit 1
fi

for candidate in python3.14 python3.13 python3.12 python3.11 python3 python; do
  if suits "$candidate"; then
    echo "$candidate"
    exit 0
  fi
done
echo "maskgrid needs Python 3.11 or newer with venv, but $(describe python3): $HOW" >&2
exit 1

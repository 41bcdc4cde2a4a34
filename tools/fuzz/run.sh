#!/usr/bin/env bash
# Builds the native module with AddressSanitizer and has hostile_arrays.py call it with generated arrays.
# Usage: tools/fuzz/run.sh PYTHON [SECONDS [SEED]]. Linux with gcc's libasan; a nightly toolchain where it is at hand,
# else the stable one, told to take the unstable flag.
set -euo pipefail
python="$(realpath -s "$1")"
seconds="${2:-60}"
seed="${3:-0}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target="$PWD/target/fuzz"
host="$(rustc -vV | sed -n 's/^host: //p')"
toolchain=()
if cargo +nightly --version >/dev/null 2>&1; then
  toolchain=(+nightly)
  echo "building with $(cargo +nightly --version)"
else
  export RUSTC_BOOTSTRAP=1
  echo "no nightly toolchain; building with $(cargo --version) and RUSTC_BOOTSTRAP=1"
fi
# With --target, flags do not reach build scripts and macros, which would not start without the sanitizer.
RUSTFLAGS="-Zsanitizer=address -Cdebuginfo=1 -Coverflow-checks=on" PYO3_PYTHON="$python" \
  CARGO_TARGET_DIR="$target" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
  CARGO_PROFILE_RELEASE_STRIP=none \
  cargo "${toolchain[@]}" build --quiet --release -p maskgrid-py --target "$host"
# A copy of the package with this module, so that the one in use stays as it is.
mkdir -p "$target/python"
cp -r python/maskgrid "$target/python/"
rm -f "$target"/python/maskgrid/_native*.so
cp "$target/$host/release/lib_native.so" "$target/python/maskgrid/_native.abi3.so"
# Python itself is not built for it: its leaks are not ours, and torch would only be slow.
LD_PRELOAD="$(gcc -print-file-name=libasan.so)" PYTHONMALLOC=malloc \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:abort_on_error=0 \
  PYTHONPATH="$target/python:tests/geometry" \
  "$python" tools/fuzz/hostile_arrays.py --seconds "$seconds" --seed "$seed"

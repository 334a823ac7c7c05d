#!/bin/sh
# bench.sh [PROGRAM...]
# Builds the timing programs with full optimisation in build-bench and runs them (all, or those named). Each prints its
# own table and writes build-bench/<program>.json.
set -eu
cd "$(dirname "$0")/.."
build=./build-bench
[ -f $build/build.ninja ] ||
    meson setup $build --buildtype=release -Db_ndebug=true -Dtests=false -Dexamples=false
ninja -C $build
[ $# -gt 0 ] || set -- $(ls bench/bench_*.c 2>/dev/null | sed 's|bench/||; s|\.c$||')
for program in "$@"; do
    echo
    echo "== $program"
    "$build/bench/$program" --json "$build/$program.json"
done

#!/bin/sh
# bench.sh [OPTION...]
# Builds the timing programs with full optimisation in build-bench, measures quantized linears on the device found (the
# options are bench_linear's; without any, a short list), and leaves bench.json and roofline.svg in $BUILD (build). The
# table goes to stdout.
set -eu
cd "$(dirname "$0")/.."
build=./build-bench
results=${BUILD:-build}
[ -f $build/build.ninja ] ||
    meson setup $build --buildtype=release -Db_ndebug=true -Dtests=disabled -Dexamples=false
ninja -C $build -j "${JOBS:-$(nproc 2>/dev/null || echo 2)}"
[ $# -gt 0 ] || set -- --shape 2048x2048,8192x2048 --m 1,8,128
mkdir -p "$results"
$build/bench/bench_linear "$@" --json "$results/bench.json"
python3 bench/roofline.py "$results/bench.json" --svg "$results/roofline.svg"
echo "measurements: $results/bench.json; picture: $results/roofline.svg"

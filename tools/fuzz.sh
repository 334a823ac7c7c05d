#!/bin/sh
# fuzz.sh TARGET [SECONDS]
# Lets libFuzzer look for inputs that crash, leak or fail an assert (clang, address and undefined-behaviour sanitizers).
# Starts from the stored corpus and keeps what it finds in build-fuzz/corpus/TARGET; a crash is left as
# build-fuzz/crash-*. What shows a new bug belongs, made small, into tests/fuzz/corpus/TARGET, named after the bug.
set -eu
cd "$(dirname "$0")/.."
if [ $# -lt 1 ] || [ ! -d "tests/fuzz/corpus/$1" ]; then
    echo "usage: fuzz.sh TARGET [SECONDS]; targets: $(ls tests/fuzz/corpus | tr '\n' ' ')" >&2
    exit 2
fi
target=$1
build=./build-fuzz
[ -f $build/build.ninja ] ||
    CC=clang meson setup $build -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args=-fno-sanitize-recover=all
ninja -C $build "tests/fuzz/libfuzzer_$target"
mkdir -p "$build/corpus/$target"
exec "$build/tests/fuzz/libfuzzer_$target" -max_total_time="${2:-60}" -artifact_prefix=$build/ \
    "$build/corpus/$target" "tests/fuzz/corpus/$target"

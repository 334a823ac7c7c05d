#!/bin/sh
# demo.sh [BUILD]
# Shows the Vulkan devices found, then on the best of them:
# - quantizes and lowers a float exported program (three linear layers) 4-bit and 8-bit, and shows how far the results are
#   from the float ones;
# - runs the same two quantized by PyTorch itself (.pte files): the largest error against PyTorch's result is shown, and every
#   operator is recomputed on the CPU reference as well (tools/golden/demo_models.py wrote these).
set -eu
cd "$(dirname "$0")/.."
qvk=${1:-build}/qvk
if [ ! -x "$qvk" ]; then
    echo "demo.sh: $qvk is not there: configure with -Dcli=true, then run make" >&2
    exit 1
fi

show() {
    printf '\n$ qvk'
    printf ' %s' "$@"
    printf '\n'
    "$qvk" "$@"
}

show devices

work=$(mktemp -d "${TMPDIR:-/tmp}/qvk-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
models=examples/models
printf '\nQuantized here; errors against the float model:\n'
show compile $models/linears.float.pt2 -o "$work/8da4w.pte" --scheme 8da4w --group-size 32
show run "$work/8da4w.pte" --input $models/linears.in.npy --expect $models/linears.out.npy --tolerance 0.3
show compile $models/linears.float.pt2 -o "$work/8w.pte" --scheme 8w --per-channel
show run "$work/8w.pte" --input $models/linears.in.npy --expect $models/linears.out.npy --tolerance 0.03

printf '\nQuantized by PyTorch; errors against the quantized model:\n'
for model in $models/*.pte; do
    name=${model%.pte}
    show run "$model" --input "$name.in.npy" --expect "$name.out.npy" --verify
done

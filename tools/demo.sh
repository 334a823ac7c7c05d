#!/bin/sh
# demo.sh [BUILD]
# Shows the Vulkan devices found, then runs the demonstration models on the best of them. PyTorch's result is beside each
# model (tools/golden/demo_models.py wrote both): the largest error is shown, and every operator is recomputed on the
# CPU reference as well.
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
for model in examples/models/*.pte; do
    name=${model%.pte}
    show run "$model" --input "$name.in.npy" --expect "$name.out.npy" --verify
done

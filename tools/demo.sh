#!/bin/sh
# demo.sh [BUILD]
# Shows the Vulkan devices found, then runs the demonstration models on the best of them; every operator is recomputed on
# the CPU reference, and the largest difference is shown.
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
    [ -e "$model" ] || continue
    show run "$model" --random 0 --verify
done

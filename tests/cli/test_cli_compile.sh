#!/bin/sh
# qvk quantize, lower, compile, and run, bench and compare on .pt2 files.
# shellcheck disable=SC2016 # $ in single quotes is for the shell that check starts
. "$QVK_SOURCE/tests/cli/cli_checks.sh"
pt2=$QVK_SOURCE/tests/golden/pt2
cases=$QVK_SOURCE/tests/golden/quantize
float=$cases/linear_4w.float.pt2 input=$cases/linear_4w.in_0.npy wanted=$cases/linear_4w.out_0.npy

# ---- files from files ---------------------------------------------------------------------------------------

check "quantize writes a .pt2" status 0 "$qvk" quantize "$float" --scheme 4w --group-size 32 -o "$work/4w.pt2"
check "lower writes a .pte" status 0 "$qvk" lower "$work/4w.pt2" -o "$work/4w.pte"
check "compile writes a .pte" status 0 "$qvk" compile "$float" --scheme 4w --group-size 32 -o "$work/compiled.pte"
for model in 4w.pt2 4w.pte compiled.pte; do
    for device in cpu 0; do
        check "$model gives PyTorch's output on device $device" status 0 \
            "$qvk" run "$work/$model" --input "$input" --expect "$wanted" --device $device
    done
done
check "static quantization calibrates" status 0 "$qvk" compile "$cases/static_linear.float.pt2" --scheme 8a8w \
    --calibrate "$cases/static_linear" --device cpu -o "$work/static.pte"
check "and gives PyTorch's output" status 0 "$qvk" run "$work/static.pte" --input "$cases/static_linear.in_0.npy" \
    --expect "$cases/static_linear.out_0.npy" --tolerance 0.02 --device cpu

# ---- failures leave what is there ---------------------------------------------------------------------------

echo before >"$work/kept"
check "a group size that does not divide is status 1" status 1 "$qvk" quantize "$float" --scheme 4w --group-size 48 -o "$work/kept"
check "its message has module and numbers" stderr_has "in_features 64 is not divisible by group_size 48" \
    "$qvk" quantize "$float" --scheme 4w --group-size 48 -o "$work/kept"
check "no scheme is a usage error" status 2 "$qvk" quantize "$float" -o "$work/kept"
check "an unknown scheme is a usage error" status 2 "$qvk" quantize "$float" --scheme 3w -o "$work/kept"
check "two granularities are a usage error" status 2 \
    "$qvk" quantize "$float" --scheme 4w --group-size 32 --per-channel -o "$work/kept"
check "8a8w without samples is status 1" status 1 "$qvk" compile "$float" --scheme 8a8w -o "$work/kept"
mkdir "$work/empty"
check "an empty folder of samples is status 1" status 1 \
    "$qvk" compile "$float" --scheme 8a8w --calibrate "$work/empty" --device cpu -o "$work/kept"
check "no module that matches is status 1" status 1 "$qvk" quantize "$float" --scheme 4w --include "none*" -o "$work/kept"
check "a truncated archive is status 1" sh -c 'head -c 3000 "$1" >"$2/cut.pt2" && "$3" 1 "$0" lower "$2/cut.pt2" -o "$2/kept"' \
    "$qvk" "$float" "$work" "$QVK_SOURCE/tests/cli/expect_status.sh"
check "an unknown --compat is a usage error" status 2 "$qvk" lower "$float" --compat other -o "$work/kept"
check "the existing file is untouched" grep -q '^before$' "$work/kept"
check "and nothing else was left" test "$(find "$work" -maxdepth 1 -name 'kept*' | wc -l)" -eq 1

# ---- run and bench ------------------------------------------------------------------------------------------

check "run takes the sample inputs" status 0 "$qvk" run "$float" --device cpu
check "which a run with a file can replace" status 0 "$qvk" run "$float" --input "$input" --device cpu
check "run lowers with --fp16" status 0 \
    "$qvk" run "$work/4w.pt2" --fp16 --input "$input" --expect "$wanted" --tolerance 0.01 --device 0
check "a .pte has no sample inputs, and run says so" stderr_has "has no sample inputs" "$qvk" run "$work/4w.pte" --device cpu
check "bench takes a .pt2" stdout_has "^median" "$qvk" bench "$float" --iters 2 --warmup 0

# ---- compare ------------------------------------------------------------------------------------------------

check "a program is equal to itself" json 'd["outputs"][0]["max_error"] == 0 and d["outputs"][0]["cosine"] == 1' \
    "$qvk" compare "$float" "$float" --json --device cpu
check "4 bits cost something, and not much" \
    json '10 < d["outputs"][0]["sqnr_db"] < 40 and d["outputs"][0]["cosine"] > 0.95 and "nodes" not in d' \
    "$qvk" compare "$float" "$work/4w.pt2" --input "$input" --json --device cpu
check "a .pte can be compared" json 'd["outputs"][0]["sqnr_db"] is None or d["outputs"][0]["sqnr_db"] > 90' \
    "$qvk" compare "$work/4w.pt2" "$work/4w.pte" --input "$input" --json --device cpu
check "--per-node lists values, worst first" \
    json 'len(d["nodes"]) >= 2 and [n["sqnr_db"] for n in d["nodes"]] == sorted(n["sqnr_db"] for n in d["nodes"])' \
    "$qvk" compare "$float" "$work/4w.pt2" --per-node --json --device cpu
check "on a device too" stdout_has "linear_1$" "$qvk" compare "$float" "$work/4w.pt2" --per-node --device 0
check "--per-node needs two .pt2" status 1 "$qvk" compare "$float" "$work/4w.pte" --per-node --device cpu
check "programs of other shapes cannot be compared" status 1 "$qvk" compare "$float" "$pt2/views.pt2" --device cpu
finish

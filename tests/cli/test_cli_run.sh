#!/bin/sh
# qvk run and qvk bench on the golden cases: outputs, files, exit statuses, JSON.
# shellcheck disable=SC2016 # $ in single quotes is for the shell that check starts
. "$QVK_SOURCE/tests/cli/cli_checks.sh"
cases=$QVK_SOURCE/tests/golden/cases
model=$cases/linear_0_4w_g32.pte input=$cases/linear_0_4w_g32.in_0.npy wanted=$cases/linear_0_4w_g32.out_0.npy

for device in cpu 0; do
    check "runs on device $device" status 0 "$qvk" run "$model" --input "$input" --device $device
    check "summarises the output on $device" stdout_has '^out_0: float32\[.*\] min .* max .* mean' \
        "$qvk" run "$model" --input "$input" --device $device
    check "the output is as expected on $device" status 0 \
        "$qvk" run "$model" --input "$input" --expect "$wanted" --device $device
    check "random inputs run on $device" status 0 "$qvk" run "$model" --random 3 --device $device
    check "--json is JSON on $device" json 'd["as_expected"] and d["outputs"][0]["dtype"] == "float32"' \
        "$qvk" run "$model" --input "$input" --expect "$wanted" --json --device $device
done
check "a wrong output is status 1" status 1 "$qvk" run "$model" --random 3 --expect "$wanted" --device cpu
check "a tolerance can let it pass" status 0 "$qvk" run "$model" --random 3 --expect "$wanted" --tolerance 1e9 --device cpu
check "a bad tolerance is a usage error" status 2 \
    "$qvk" run "$model" --input "$input" --expect "$wanted" --tolerance no --device cpu
check "the device is named on stderr" sh -c '"$0" "$@" 2>&1 >/dev/null | grep -q "^qvk: running on "' \
    "$qvk" run "$model" --random 1
check "--verify says so" stdout_has "^verified: " "$qvk" run "$model" --input "$input" --verify

check "--output makes the folder" status 0 "$qvk" run "$model" --input "$input" --output "$work/new" --device cpu
check "the file is the output" status 0 \
    "$qvk" run "$model" --input "$input" --expect "$work/new/out_0.npy" --tolerance 0 --device cpu
check "nothing else is written" test "$(ls "$work/new")" = out_0.npy
check "a folder that cannot be made is status 1" status 1 \
    "$qvk" run "$model" --input "$input" --output "$work/new/out_0.npy/x" --device cpu

check "no inputs is status 1" status 1 "$qvk" run "$model" --device cpu
check "an input of the wrong shape is status 1" status 1 \
    "$qvk" run "$model" --input "$cases/static_conv_0.in_0.npy" --device cpu
check "one input too many is status 1" status 1 "$qvk" run "$model" --input "$input" --input "$input" --device cpu
check "an unknown method is status 1" status 1 "$qvk" run "$model" --random 1 --method backward --device cpu
check "an unknown device is status 3" status 3 "$qvk" run "$model" --random 1 --device no-such-device
check "constants in other files are found" status 0 "$qvk" run "$QVK_SOURCE/tests/golden/programs/linear_external.pte" \
    --data "$QVK_SOURCE/tests/golden/programs/linear_external.ptd" --random 1 --device cpu

check "bench prints a table" stdout_has "GB/s" "$qvk" bench "$model" --iters 3 --warmup 1
check "bench --json has what it promises" json \
    'd["median_ms"] >= d["min_ms"] > 0 and d["load_ms"] > 0 and d["device"] and d["iters"] == 3 and
     d["cpu_us"] > 0 and d["wait_us"] > 0 and
     d["ceilings"]["copy_gbps"] > 0 and d["ceilings"]["f32_tflops"] > 0 and
     all(o["share"] >= 0 and o["name"] and o["kernel"] and o["gpu_us"] >= 0 and o["bytes"] >= 0 and o["ops"] >= 0 for o in d["operators"])' \
    "$qvk" bench "$model" --iters 3 --warmup 0 --json
check "bench works on the reference executor" status 0 "$qvk" bench "$model" --iters 2 --device cpu
check "bench writes a trace" status 0 "$qvk" bench "$model" --iters 2 --trace "$work/trace.json"
check "the trace is JSON" json 'len(d["traceEvents"]) > 0 and all(e["ph"] == "X" for e in d["traceEvents"])' \
    cat "$work/trace.json"

check "devices are listed" stdout_has "^0  " "$qvk" devices
check "devices --json is JSON" json 'd["devices"][0]["index"] == 0 and d["devices"][0]["name"]' "$qvk" devices --json
check "the cache folder is used" sh -c 'QVK_CACHE_DIR=$1/cache "$2" run "$3" --random 1 && [ -n "$(ls "$1/cache")" ]' \
    sh "$work" "$qvk" "$model"

# Verdicts on kernels beside the pipeline cache: as if those tried had failed (24 bytes of header with the checksum at
# 16, entries of 64 bytes with the verdict at 56). Devices on which the model needs no kernel on trial keep no file.
distrust() {
    python3 - "$1" <<'END'
import struct
import sys

data = bytearray(open(sys.argv[1], "rb").read())
for at in range(24, len(data), 64):
    data[at + 56] = 2
checksum = 0xCBF29CE484222325
for byte in data[24:]:
    checksum = (checksum ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
data[16:24] = struct.pack("<Q", checksum ^ checksum >> 32)
open(sys.argv[1], "wb").write(data)
END
}
check "without verdicts no kernel is distrusted" json 'all(x["distrusted_kernels"] == "" for x in d["devices"])' \
    env QVK_CACHE_DIR="$work/cache" "$qvk" devices --json
for verdicts in "$work/cache"/trials_*.bin; do
    [ -f "$verdicts" ] || continue
    distrust "$verdicts"
    check "devices tells of kernels that failed" json 'any("linear_" in x["distrusted_kernels"] for x in d["devices"])' \
        env QVK_CACHE_DIR="$work/cache" "$qvk" devices --json
    check "devices tells so in text" stdout_has "kernels not used    linear_" \
        env QVK_CACHE_DIR="$work/cache" "$qvk" devices
    check "other kernels take their place" env QVK_CACHE_DIR="$work/cache" \
        "$qvk" run "$model" --input "$input" --expect "$wanted"
done
check "nothing needs to be timed" status 0 "$qvk" run "$model" --input "$input" --expect "$wanted" --no-tuning
check "a feature can be switched off" env QVK_DISABLE=dot8,fp16 "$qvk" run "$model" --input "$input" --expect "$wanted"
finish

#!/bin/sh
# The timing program measures what it says; bench/roofline.py: medians, shares of the right ceiling, ratios to peers, sums
# over a model, and a picture that is XML.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"
python=${QVK_TEST_PYTHON:-python3}

if ! command -v "$python" >/dev/null; then
    skip "the roofline" "no $python"
    finish
fi
export PYTHONDONTWRITEBYTECODE=1
cat >"$work/ours.json" <<'LINES'
{"device": "Card <A&B>", "driver": "D 1", "copy_gbps": 1000, "f32_tflops": 10, "f16_tflops": 0, "int8_tops": 40, "dispatch_us": 2}
{"scheme": "4w", "m": 1, "n": 2000, "k": 1000, "us": 2, "min_us": 2, "max_us": 2, "bytes": 1000000, "ops": 4000000, "model": "small", "count": 3}
{"scheme": "4w", "m": 1, "n": 2000, "k": 1000, "us": 4, "min_us": 3, "max_us": 4, "bytes": 1000000, "ops": 4000000, "model": "small", "count": 3}
{"scheme": "4w", "m": 1, "n": 2000, "k": 1000, "us": 9, "min_us": 9, "max_us": 9, "bytes": 1000000, "ops": 4000000, "model": "small", "count": 3}
{"scheme": "4w", "m": 1, "n": 1000, "k": 1000, "us": 8, "min_us": 8, "max_us": 8, "bytes": 500000, "ops": 2000000, "model": "small", "count": 1}
{"scheme": "4w", "m": 500, "n": 2000, "k": 1000, "us": 400, "min_us": 400, "max_us": 400, "bytes": 1000000, "ops": 2000000000}
{"scheme": "8da4w", "m": 500, "n": 2000, "k": 1000, "us": 100, "min_us": 90, "max_us": 110, "bytes": 1000000, "ops": 2000000000}
{"scheme": "8da4w", "m": 2000, "n": 2000, "k": 1000, "skipped": "no room"}
LINES
cat >"$work/theirs.json" <<'LINES'
{"device": "Card", "peer": "ggml 1 (abc), Vulkan"}
{"scheme": "ggml-q4_0", "m": 500, "n": 2000, "k": 1000, "us": 200, "min_us": 200, "max_us": 200, "bytes": 1100000, "ops": 2000000000}
LINES
roofline() { "$python" "$QVK_SOURCE/bench/roofline.py" "$@"; }
is_xml() { "$python" -c 'import sys, xml.dom.minidom as d; assert len(d.parse(sys.argv[1]).getElementsByTagName("circle")) >= int(sys.argv[2])' "$@"; }
row() { grep -qF "$1" "$work/table.md" || { cat "$work/table.md"; return 1; }; }

check "runs" roofline "$work/ours.json" "$work/theirs.json" --svg "$work/picture.svg" --markdown "$work/table.md"
check "median of several runs; bytes bound it: 1 us of 4" row "| 2000x1000 | 1 | 4.0 us, 25% | - | - |"
check "arithmetic bounds it: floats for 4w, int8 for 8da4w; ratios to the peer" \
    row "| 2000x1000 | 500 | 400 us, 50% (2.00x) | 100 us, 50% (0.50x) | 200 us, 100% |"
check "a model's linears by their number: 3 x 4 + 8" row "| small | 1 | 20.0 us |"
check "what was skipped has no row" sh -c "! grep -q '| 2000 |' '$work/table.md'"
check "the picture is XML with every point" is_xml "$work/picture.svg" 5
check "a file without ceilings is refused" sh -c "! '$python' '$QVK_SOURCE/bench/roofline.py' '$work/theirs.json'"

# The program itself, on the device found.
bench=$QVK_BUILD/bench/bench_linear
near() { "$python" -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])][1:]
assert len(lines) == int(sys.argv[2]), len(lines)
assert all(0 < line["min_us"] <= line["us"] <= line["max_us"] and line["error"] < 0.02 for line in lines), lines' "$@"; }
if [ ! -x "$bench" ] || "$bench" --shape 8x8 2>&1 | grep -q 'no driver fits'; then
    skip "bench_linear" "not built, or no device"
else
    check "two rows of four schemes" "$bench" --shape 72x40 --m 1,3 --act f32 --runs 3 --cold 1 --json "$work/real.json"
    check "eight lines, in order and near the reference" near "$work/real.json" 8
    check "they are drawn" roofline "$work/real.json" --svg "$work/real.svg" --markdown "$work/real.md"
    check "a model that is none is refused" sh -c "! '$bench' --model small"
fi

# The second load, when the driver's own files are mapped already.
load=$QVK_BUILD/bench/bench_load
let_go() { "$python" -c 'import json, sys
first, second = [json.loads(line) for line in open(sys.argv[1])]
assert 0 < second["file_bytes"] < 2 * second["weight_bytes"], second
assert second["mapped_above_mib"] < second["file_bytes"] / 2**20 / 3, second' "$@"; }
if [ ! -x "$load" ] || "$bench" --shape 8x8 2>&1 | grep -q 'no driver fits'; then
    skip "bench_load" "not built, or no device"
else
    check "a program of 16 million weights is made" "$load" make "$work/big.pte" --weights 16 --width 2048
    check "it is loaded twice" sh -c "'$load' time '$work/big.pte' --runs 2 >'$work/loads.json'"
    check "its pages are let go behind the upload" let_go "$work/loads.json"
fi
finish

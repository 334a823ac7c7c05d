#!/bin/sh
# qvk inspect on exported programs and safetensors: the listing, JSON, exit statuses.
# shellcheck disable=SC2016 # $ in single quotes is for the shell that check starts
. "$QVK_SOURCE/tests/cli/cli_checks.sh"
programs=$QVK_SOURCE/tests/golden/pt2
tensors=$QVK_SOURCE/tests/fuzz/corpus/safetensors

check "a program says what goes in" stdout_has "^  input 0: x float32\[s17, 4\]$" "$qvk" inspect "$programs/dynamic.pt2"
check "which sizes are dynamic" stdout_has "^  dynamic s17: 2 to 16$" "$qvk" inspect "$programs/dynamic.pt2"
check "what is in it" stdout_has "^     1 x aten.conv2d.default$" "$qvk" inspect "$programs/conv_bn.pt2"
check "how weights are quantized" stdout_has "original0: int8\[2, 8\], 16 bytes, 8da4w group size 4$" \
    "$qvk" inspect "$programs/subclass.pt2"
check "and with --graph, every node" stdout_has "^%linear: float32\[2, 3\] = aten.linear.default(%x, %p_fc_weight, %p_fc_bias)" \
    "$qvk" inspect --graph "$programs/linear.pt2"
check "JSON of weights" json 'd["methods"][0]["weights"][0]["scheme"] == "8da4w"' \
    "$qvk" inspect --json "$programs/subclass.pt2"
check "JSON of nodes" json 'd["methods"][0]["nodes"][1]["args"] == [{"value": "linear"}]' \
    "$qvk" inspect --json --graph "$programs/linear.pt2"
check "JSON of symbolic shapes" json 'd["methods"][0]["inputs"][0]["symbolic"] == "[s17, 4]"' \
    "$qvk" inspect --json "$programs/dynamic.pt2"
check "safetensors" stdout_has "^  b: BF16\[3\], 6 bytes$" "$qvk" inspect "$tensors/good.safetensors"
check "safetensors as JSON" json 'd["tensors"][0]["shape"] == [2, 2]' "$qvk" inspect --json "$tensors/good.safetensors"
check "control flow is refused, status 1" status 1 "$qvk" inspect "$programs/cond.pt2"
check "by name" sh -c '"$0" inspect "$1" 2>&1 | grep -q "^qvk: .*cond.pt2: .*higher_order.cond"' "$qvk" "$programs/cond.pt2"
check "a truncated program is status 1" sh -c \
    'head -c 3000 "$1" >"$2/cut.pt2" && "$3" 1 "$0" inspect "$2/cut.pt2"' \
    "$qvk" "$programs/linear.pt2" "$work" "$QVK_SOURCE/tests/cli/expect_status.sh"
check "a broken safetensors file is status 1" status 1 "$qvk" inspect "$tensors/overlong.safetensors"
finish

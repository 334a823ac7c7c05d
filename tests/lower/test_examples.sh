#!/bin/sh
# The two quantization examples print what the Python scripts they mirror print for the same weights.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"

# same EXAMPLE: 16 numbers, each within 1e-4 of the largest.
same() {
    "$QVK_BUILD/examples/$1" >"$work/$1.txt" || return 1
    paste "$QVK_SOURCE/tests/golden/examples/$1.txt" "$work/$1.txt" | awk '
        function abs(x) { return x < 0 ? -x : x }
        NF != 2 { short = 1 }
        { n++; if (abs($1 - $2) > worst) worst = abs($1 - $2); if (abs($1) > most) most = abs($1) }
        END { print "worst", worst, "of", most; exit n != 16 || short || !(worst <= 1e-4 * most) }'
}

check "quantize_4bit prints PyTorch's numbers" same quantize_4bit
check "quantize_pt2e_8bit prints PyTorch's numbers" same quantize_pt2e_8bit
finish

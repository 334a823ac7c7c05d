#!/bin/sh
# listings.sh [BUILD]
# Rewrites tests/golden/programs/*.txt: what `qvk inspect --graph` says about each program. Look at the difference before
# you commit it: the tests compare with these files.
set -eu
cd "$(dirname "$0")/../.."
qvk=${1:-build}/qvk
for program in tests/golden/programs/*.pte; do
    listing=${program%.pte}.txt
    data=${program%.pte}.ptd
    if [ -f "$data" ]; then
        "$qvk" inspect --graph --data "$data" "$program" >"$listing"
    else
        "$qvk" inspect --graph "$program" >"$listing"
    fi
done

#!/bin/sh
# run_tests.sh [-C BUILD] [--setup NAME[:SUITE]]... [--suite SUITE] [--quiet-layers]
#
# Runs the tests of a configured build and ends with one line, "N passed, N failed", counting single test functions
# (TAP lines) of all binaries. A binary that crashes, times out or ends early counts as one more failure. Skipped
# tests are named in the same line when there are any. Exit status 1 when anything failed.
#   --setup NAME    run under that meson test setup (lavapipe, swiftshader, validation, system); may be repeated.
#                   NAME:SUITE restricts that run to one suite. Default: lavapipe.
#   --suite SUITE   only that suite (quick, full, device, quick-device) in every run without its own
#   --quiet-layers  any word from the Vulkan validation layers is a failure
set -u
build=build
setups=
suite=
quiet_layers=false
while [ $# -gt 0 ]; do
    case $1 in
    -C) build=$2; shift 2 ;;
    --setup) setups="$setups $2"; shift 2 ;;
    --suite) suite=$2; shift 2 ;;
    --quiet-layers) quiet_layers=true; shift ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
: "${setups:= lavapipe}"
tools=$(cd "$(dirname "$0")" && pwd)
record_root=$(cd "$build" && pwd)/test-record
rm -rf "$record_root"

run_setup() {
    setup=${1%%:*}
    only=$suite
    [ "$setup" = "$1" ] || only=${1#*:}
    export QVK_TEST_RECORD="$record_root/$setup"
    mkdir -p "$QVK_TEST_RECORD"
    meson test -C "$build" --no-rebuild --setup "$setup" ${only:+--suite "$only"} \
        --print-errorlogs --wrapper "$tools/record_test.sh" </dev/null >"$QVK_TEST_RECORD.log" 2>&1
    status=$?
    grep -vE '^(ninja|No suitable tests|Ok|Expected Fail|Fail|Unexpected Pass|Skipped|Timeout):|^$|^Full log' "$QVK_TEST_RECORD.log"
    if [ $status -ne 0 ] && ! ls "$QVK_TEST_RECORD"/*.out >/dev/null 2>&1; then
        echo "run_tests.sh: meson could not run the tests" >&2
        exit 1
    fi
}

# One recorded test: "passed failed skipped".
count() {
    status=$(cat "${1%.out}.status" 2>/dev/null || echo killed)
    layers=${1%.out}.layers
    $quiet_layers && [ -s "$layers" ] && layer_words=1 || layer_words=0
    awk -v status="$status" -v layer_words=$layer_words '
        /^1\.\.[0-9]+/            { planned += substr($1, 4) }
        /^(not )?ok .*# SKIP/     { skipped++; next }
        /^ok /                    { passed++ }
        /^not ok /                { failed++ }
        END {
            if (status == "77" && passed + failed == 0)
                skipped = skipped ? skipped : 1
            else if (passed + failed + skipped < planned)
                failed++
            else if (status != "0" && failed == 0)
                failed++
            else if (passed + failed + skipped == 0)
                passed++
            print passed + 0, failed + layer_words, skipped + 0
        }' "$1"
}

for setup in $setups; do
    run_setup "$setup"
done

passed=0 failed=0 skipped=0
for out in "$record_root"/*/*.out; do
    [ -e "$out" ] || continue
    # shellcheck disable=SC2046 # three numbers
    set -- $(count "$out")
    passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    [ "$2" -eq 0 ] || echo "failed: $(basename "$(dirname "$out")")/$(basename "$out" | sed 's/\.[0-9]*\.out$//')"
done
if $quiet_layers; then
    cat "$record_root"/*/*.layers | sort | uniq -c | sort -rn | head -n 40
fi
if [ $((passed + failed + skipped)) -eq 0 ]; then
    echo "run_tests.sh: no test ran: does $build have any (meson configure -Dtests=enabled)?" >&2
    exit 1
fi
line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]

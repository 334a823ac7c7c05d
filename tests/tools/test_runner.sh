#!/bin/sh
# tools/run_tests.sh counts right: passed, failed, skipped, crashed, cut short, timed out, and what the layers say.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"
runner=$QVK_SOURCE/tools/run_tests.sh

# A project whose tests are the scripts given as name=body; configured in $work/build.
project() {
    rm -rf "$work/project" "$work/build"
    mkdir "$work/project"
    {
        echo "project('runner')"
        echo "add_test_setup('lavapipe', is_default: true)"
        echo "add_test_setup('other', env: {'SECOND': 'yes'})"
    } >"$work/project/meson.build"
    for entry in "$@"; do
        name=${entry%%=*}
        printf '#!/bin/sh\n%s\n' "${entry#*=}" >"$work/project/$name"
        chmod +x "$work/project/$name"
        echo "test('$name', find_program('$name'), suite: '${name%%_*}', timeout: 1)" >>"$work/project/meson.build"
    done
    meson setup "$work/build" "$work/project" >/dev/null
}

# counts LINE STATUS ARGUMENTS...: the runner's last line and exit status.
counts() {
    expected=$1
    expected_status=$2
    shift 2
    "$runner" -C "$work/build" "$@" >"$work/said" 2>&1
    status=$?
    cat "$work/said"
    [ "$(tail -n 1 "$work/said")" = "$expected" ] && [ $status -eq "$expected_status" ]
}

two='echo 1..2; echo ok 1 - a; echo ok 2 - b'

project "quick_two=$two" 'quick_silent=exit 0'
check "passes are counted, a test without TAP as one" counts "3 passed, 0 failed" 0

project 'quick_fail=echo 1..3; echo ok 1 - a; echo "not ok 2 - b"; echo "not ok 3 - c"; exit 2'
check "failures are counted and named" counts "1 passed, 2 failed" 1
check "the failing test has its name shown" grep -q '^failed: lavapipe/quick_fail$' "$work/said"

project "quick_skip=echo 1..3; echo 'ok 1 - a'; echo 'not ok 2 # SKIP b'; echo 'ok 3 - c # SKIP none'" 'quick_all=exit 77'
check "skipped ones are counted apart" counts "1 passed, 0 failed, 3 skipped" 0

project "quick_crash=$two; kill -SEGV \$\$"
check "a crash after the last test is a failure" counts "2 passed, 1 failed" 1

project 'quick_short=echo 1..3; echo ok 1 - a; exit 0'
check "a test that ends early is a failure, whatever it returns" counts "1 passed, 1 failed" 1

project 'quick_slow=echo 1..2; echo ok 1 - a; sleep 60'
check "a test that takes too long is a failure" counts "1 passed, 1 failed" 1

project "quick_two=$two" "full_one=echo 1..1; echo ok 1 - a"
check "a suite alone" counts "1 passed, 0 failed" 0 --suite full
check "two setups add up" counts "6 passed, 0 failed" 0 --setup lavapipe --setup other
check "a setup with a suite of its own" counts "4 passed, 0 failed" 0 --setup lavapipe --setup other:full
check "no test at all is a failure" counts "run_tests.sh: no test ran: does $work/build have any (meson configure -Dtests=enabled)?" 1 --suite absent
check "a setup that is none is a failure" counts "run_tests.sh: meson could not run the tests" 1 --setup absent

project "quick_layers=$two; echo 'VUID-anything' >&9"
check "what the layers say is let pass" counts "2 passed, 0 failed" 0
check "what the layers say is a failure where asked" counts "2 passed, 1 failed" 1 --quiet-layers
finish

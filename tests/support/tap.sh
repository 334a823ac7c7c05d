# shellcheck shell=sh
# TAP for test scripts: source this, call check once for each thing tested, and finish at the end.
#
#   . "$QVK_SOURCE/tests/support/tap.sh"
#   check "help names every command" command arguments...     passes when the command exits with 0
#   skip "reads from a real GPU" "there is none"
#   finish
#
# A failed check shows the command's output as comments. $work is a scratch folder, removed at the end.
tap_count=0
tap_failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/qvk-test.XXXXXX")
trap 'rm -rf "$work"' EXIT

check() {
    tap_name=$1
    shift
    tap_count=$((tap_count + 1))
    if "$@" >"$work/.output" 2>&1; then
        echo "ok $tap_count - $tap_name"
    else
        tap_status=$?
        tap_failed=$((tap_failed + 1))
        echo "not ok $tap_count - $tap_name"
        sed 's/^/# /' "$work/.output"
        echo "# exit status $tap_status of: $*"
    fi
}

skip() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP $2"
}

finish() {
    echo "1..$tap_count"
    [ "$tap_failed" -eq 0 ]
    exit
}

# shellcheck shell=sh
# tap.sh, and what the tests of the command ask of it: source this.
. "$QVK_SOURCE/tests/support/tap.sh"
# shellcheck disable=SC2034 # for the tests
qvk=$QVK_BUILD/qvk

# status WANTED command...
status() {
    "$QVK_SOURCE/tests/cli/expect_status.sh" "$@"
}
# stdout_has PATTERN command...
stdout_has() {
    pattern=$1
    shift
    "$@" 2>/dev/null | grep -q -- "$pattern"
}
# stderr_has PATTERN command...
stderr_has() {
    pattern=$1
    shift
    "$@" 2>&1 >/dev/null | grep -q -- "$pattern"
}
# Is stdout a JSON document d of which this holds? Of a program's, m is the first method.
# json PYTHON-CONDITION command...
json() {
    condition=$1
    shift
    "$@" 2>/dev/null | python3 -c 'import json, sys
d = json.load(sys.stdin)
m = d["methods"][0] if "methods" in d else None
sys.exit(0 if eval("(" + sys.argv[1] + ")") else 1)' "$condition"
}

#!/bin/sh
# What the command prints and returns without a device.
. "$QVK_SOURCE/tests/cli/cli_checks.sh"

# exit_and_error WANTED STDERR-PATTERN command...: exit status and, when the pattern is not empty, one line of stderr.
exit_and_error() {
    wanted=$1 pattern=$2
    shift 2
    got=0
    "$@" >"$work/stdout" 2>"$work/stderr" || got=$?
    cat "$work/stderr"
    [ "$got" -eq "$wanted" ] || { echo "status $got, wanted $wanted"; return 1; }
    [ -z "$pattern" ] || { grep -q "$pattern" "$work/stderr" && [ "$(wc -l <"$work/stderr")" -eq 1 ]; }
}

check "--version names the version" stdout_has "^qvk [0-9]*\.[0-9]*\.[0-9]*$" "$qvk" --version
check "--help names the commands" stdout_has "^  run " "$qvk" --help
check "--help names the environment" stdout_has "QVK_CACHE_DIR" "$qvk" --help
check "run --help names its options" stdout_has "--input F.npy" "$qvk" run --help
check "help run is the same" stdout_has "--input F.npy" "$qvk" help run
check "the man page is roff" stdout_has "^.TH QVK 1" "$qvk" --help-man
check "the completion script parses" sh -c "'$qvk' --completion bash | bash -n"
check "no command is a usage error" exit_and_error 2 "a command is missing" "$qvk"
check "an unknown command is a usage error" exit_and_error 2 "no command is called 'fly'" "$qvk" fly
check "an unknown option is a usage error" exit_and_error 2 "unknown option '--fly'" "$qvk" run x.pte --fly
check "a missing operand is a usage error" exit_and_error 2 "run needs MODEL" "$qvk" run
check "one operand too many is a usage error" exit_and_error 2 "one argument too many: 'y'" "$qvk" run x y
check "a missing value is a usage error" exit_and_error 2 "a value is missing after '--input'" "$qvk" run x --input
check "a flag takes no value" exit_and_error 2 "no value belongs to '--json=1'" "$qvk" devices --json=1
check "a bad number is a usage error" exit_and_error 2 "wants a whole number" "$qvk" bench x.pte --iters none
check "-- ends the options" exit_and_error 1 "" "$qvk" run --device=cpu -- --no-such-file.pte
check "a missing file is an error" exit_and_error 1 "" "$qvk" run "$work/none.pte" --device cpu
check "its message names the file" grep -q "^qvk: .*none.pte: No such file" "$work/stderr"
echo "not a program" >"$work/bad.pte"
check "a malformed file is an error" exit_and_error 1 "" "$qvk" run "$work/bad.pte" --device cpu
check "its message names the file" grep -q "^qvk: .*bad.pte: " "$work/stderr"
check "no such device is status 3" env QVK_DEVICE=no-such-device "$QVK_SOURCE/tests/cli/expect_status.sh" 3 \
    "$qvk" run "$work/bad.pte"
check "an unknown feature in QVK_DISABLE is named" env QVK_DISABLE=warp "$QVK_SOURCE/tests/cli/expect_status.sh" 1 \
    "$qvk" run "$work/bad.pte" --device cpu
finish

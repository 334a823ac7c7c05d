#!/bin/sh
# record_test.sh COMMAND...
# Runs one test for tools/run_tests.sh and keeps its output and exit status in $QVK_TEST_RECORD, to be counted later.
# Descriptor 9 takes what the Vulkan validation layers say, whoever's stdout or stderr a test captures
# (tests/support/vk_layer_settings.txt).
set -u
record=$QVK_TEST_RECORD/$(basename "$1").$$
{
    "$@" >"$record.out" 2>&1
    echo $? >"$record.status"
} 9>&1 | cat >"$record.layers"
cat "$record.out" "$record.layers"
exit "$(cat "$record.status" 2>/dev/null || echo 1)"

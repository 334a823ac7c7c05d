#!/bin/sh
# Every source is in the project's format, where the clang-format that decides is there.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"

"$QVK_SOURCE/tools/check_format.sh" >"$work/said" 2>&1
case $? in
77) skip "format" "$(tail -n 1 "$work/said")" ;;
0) check "format" true ;;
*) check "format (make format mends it)" sh -c 'head -n 20 "$1"; false' sh "$work/said" ;;
esac
finish

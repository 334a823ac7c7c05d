#!/bin/sh
# Every source is in the project's format. Only with the clang-format the project uses: others differ in details.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"
version=14

is_formatted() {
    cd "$QVK_SOURCE" && git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror
}

if ! clang-format --version 2>/dev/null | grep -q "version $version\."; then
    skip "format" "no clang-format $version"
elif ! git -C "$QVK_SOURCE" rev-parse >/dev/null 2>&1; then
    skip "format" "not a git checkout"
else
    check "format (make format mends it)" is_formatted
fi
finish

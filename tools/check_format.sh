#!/bin/sh
# check_format.sh
# Fails when a tracked source is not in the project's format (`make format` mends it). Versions of clang-format differ in
# details, so only one counts; exit status 77, with a word, when it is not there.
set -u
cd "$(dirname "$0")/.." || exit 2
version=14
for candidate in clang-format-$version clang-format; do
    if $candidate --version 2>/dev/null | grep -q "version $version\."; then
        git rev-parse >/dev/null 2>&1 || { echo "skipped: not a git checkout"; exit 77; }
        git ls-files '*.c' '*.h' '*.cpp' | xargs $candidate --dry-run -Werror
        exit
    fi
done
echo "skipped: no clang-format $version"
exit 77

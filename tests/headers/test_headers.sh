#!/bin/sh
# Every public header compiles alone, first in its file, as C11 and as C++11, without a warning.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"

warnings="-Wall -Wextra -Wpedantic -Werror"

compile() { # compiler, language, standard, header
    printf '#include "qvk/%s"\nint qvk_header_compiled;\n' "$4" >"$work/alone.src"
    # shellcheck disable=SC2086 # a list of options
    "$1" -x "$2" "-std=$3" $warnings -fsyntax-only -I"$QVK_SOURCE/include" "$work/alone.src"
}

for header in "$QVK_SOURCE"/include/qvk/*.h; do
    name=$(basename "$header")
    for entry in gcc:c:c11 clang:c:c11 g++:c++:c++11 clang++:c++:c++11; do
        compiler=${entry%%:*}
        rest=${entry#*:}
        if command -v "$compiler" >/dev/null 2>&1; then
            check "$name alone, $compiler ${rest#*:}" compile "$compiler" "${rest%%:*}" "${rest#*:}" "$name"
        else
            skip "$name alone, $compiler" "no $compiler"
        fi
    done
done
finish

#!/bin/sh
# tools/check_includes.sh and tools/check_tree.sh accept a good tree and name what is wrong in a bad one.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"
tools=$QVK_SOURCE/tools

# A small good tree: every room once, each seeing only what it may.
good_tree() {
    tree=$work/tree
    rm -rf "$tree"
    mkdir -p "$tree/include/qvk" "$tree/cli" "$tree/examples" "$tree/src/base" "$tree/src/core" "$tree/src/gpu" \
        "$tree/src/kernels" "$tree/src/api"
    echo '#include "qvk/status.h"' >"$tree/include/qvk/qvk.h"
    printf '#include "qvk/qvk.h"\n#include "options.h"\n#include <stdio.h>\n' >"$tree/cli/main.c"
    echo '#include "qvk/qvk.h"' >"$tree/examples/run_model.c"
    echo '#include "qvk/status.h"' >"$tree/src/base/base.h"
    echo '#include "base/base.h"' >"$tree/src/core/graph.c"
    echo '#include "base/base.h"' >"$tree/src/gpu/gpu.c"
    printf '#include "core/op.h"\n#include "gpu/gpu.h"\n#include "kernels.def"\n' >"$tree/src/kernels/kernels.c"
    printf '#include "gpu/gpu.h"\n#include "kernels/kernels.h"\n' >"$tree/src/api/api.c"
}

# refuses LINE WORD FILE: with LINE added to FILE, check_includes fails and says FILE, its line and WORD.
refuses() {
    good_tree
    printf '\n%s\n' "$1" >>"$tree/$3"
    line=$(wc -l <"$tree/$3")
    if "$tools/check_includes.sh" "$tree" >"$work/said"; then
        echo "accepted"
        return 1
    fi
    cat "$work/said"
    grep -q "^$3:$((line)):.*$2" "$work/said" && [ "$(wc -l <"$work/said")" -eq 1 ]
}

good_tree
check "includes: a good tree" "$tools/check_includes.sh" "$tree"
check "includes: this tree" "$tools/check_includes.sh" "$QVK_SOURCE"
check "includes: base sees nothing" refuses '#include "core/op.h"' 'nothing but itself' src/base/base.h
check "includes: core sees base only" refuses '  #  include "gpu/gpu.h"' 'may include: base' src/core/graph.c
check "includes: gpu knows no operators" refuses '#include "core/op.h"' 'may include: base' src/gpu/gpu.c
check "includes: kernels.def is for kernels" refuses '#include "kernels.def"' 'room kernels only' src/core/graph.c
check "includes: no way around by .." refuses '#include "../gpu/gpu.h"' 'without \.\.' src/core/graph.c
check "includes: no file beside" refuses '#include "graph.h"' 'from src' src/core/graph.c
check "includes: the command sees the public headers only" refuses '#include "base/base.h"' 'only include/qvk' cli/main.c
check "includes: so do examples" refuses '#include "api/api.h"' 'only include/qvk' examples/run_model.c
check "includes: a room that is none" refuses '#include "utils/all.h"' 'is no room' src/core/graph.c

# rejects WORD: check_tree fails on the tree as it stands, and says WORD.
rejects() {
    if "$tools/check_tree.sh" "$tree" >"$work/said" 2>&1; then
        echo "accepted"
        return 1
    fi
    cat "$work/said"
    grep -q "$1" "$work/said"
}

new_repository() {
    good_tree
    git -C "$tree" init -q
}

if command -v git >/dev/null 2>&1; then
    if git -C "$QVK_SOURCE" rev-parse >/dev/null 2>&1; then
        check "tree: this one" "$tools/check_tree.sh" "$QVK_SOURCE"
    else
        skip "tree: this one" "not a git checkout"
    fi
    new_repository
    check "tree: a good one" "$tools/check_tree.sh" "$tree"
    cp "$tree/src/core/graph.c" "$tree/src/api/graph.c"
    check "tree: a name used twice" rejects 'src/core/graph.c: .*used twice'

    new_repository
    touch "$tree/src/core/GraphCheck.c"
    check "tree: an upper-case name" rejects 'GraphCheck.c: .*lower snake case'

    new_repository
    yes 'int x;' | head -n 1001 >"$tree/src/core/long_file.c"
    check "tree: a file too long" rejects 'long_file.c: 1001 lines'

    new_repository
    { printf 'void f(void)\n{\n'; yes '    g();' | head -n 121; printf '}\n'; } >"$tree/src/core/long_function.c"
    check "tree: a function too long" rejects 'long_function.c:2: a function of 121 lines'

    new_repository
    printf '/* TO%s: later */\n' DO >"$tree/src/core/unfinished.c"
    check "tree: a mark of unfinished work" rejects 'unfinished.c:1'
else
    skip "tree: checks" "no git"
fi
finish

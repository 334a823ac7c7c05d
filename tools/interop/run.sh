#!/bin/sh
# run.sh BUILD [STEP]...
# What needs a real ExecuTorch, on the backend of a build that was configured with -Dexecutorch=. Steps, all unless named:
#   suite     ExecuTorch's own Vulkan tests; a step "suite:PART" runs those with PART in their name
#   scripts   the Python scripts of docs/executorch.md, and of the Markdown file QVK_INTEROP_SCRIPTS, against PyTorch
#   cases     the programs of the folder QVK_INTEROP_CASES, through ExecuTorch and through `qvk run`
# QVK_REFERENCE_PYTHON names a python with torch, torchao and executorch. What is missing is skipped with a word; exit status
# 77 when nothing could run.
set -u
build=$(cd "$1" && pwd) || exit 2
shift
tools=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$tools/../.." && pwd)
export QVK_LIBRARY="$build/libqvk.so.0" QVK_EXECUTORCH_LIBRARY="$build/integrations/executorch/libqvk_executorch.so"
export PYTHONPATH="$source/python" PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore
if [ -z "${QVK_REFERENCE_PYTHON:-}" ]; then
    echo "skipped: QVK_REFERENCE_PYTHON names no python with executorch"
    exit 77
fi
if [ ! -e "$QVK_EXECUTORCH_LIBRARY" ]; then
    echo "skipped: $build has no ExecuTorch backend (meson configure -Dexecutorch=PATH)"
    exit 77
fi

# Only what the tools print: the exporter talks on the error stream.
tool() {
    script=$1
    shift
    "$QVK_REFERENCE_PYTHON" "$tools/$script" "$@" 2>"$log" && return
    tail -n 20 "$log"
    return 1
}

step() {
    case $1 in
    suite) tool executorch_suite.py "$QVK_EXECUTORCH_LIBRARY" ;;
    suite:*) tool executorch_suite.py "$QVK_EXECUTORCH_LIBRARY" "${1#suite:}" ;;
    scripts) tool run_scripts.py "$source/docs/executorch.md" ${QVK_INTEROP_SCRIPTS:+"$QVK_INTEROP_SCRIPTS"} ;;
    cases)
        if [ -z "${QVK_INTEROP_CASES:-}" ]; then
            echo "skipped: QVK_INTEROP_CASES names no folder of cases"
        else
            tool run_cases.py "$build/qvk" "$QVK_INTEROP_CASES"
        fi
        ;;
    *) echo "run.sh: steps are suite, suite:PART, scripts and cases, not $1"; return 2 ;;
    esac
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
[ $# -gt 0 ] || set -- scripts cases suite
failed=0
for name in "$@"; do
    echo "$name:"
    step "$name" || failed=1
done
exit $failed

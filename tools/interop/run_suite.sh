#!/bin/sh
# run_suite.sh BUILD [NAME_PART]...
# ExecuTorch's own Vulkan tests (executorch_suite.py) on the backend of a build that was configured with -Dexecutorch=.
# QVK_REFERENCE_PYTHON names a python with torch and executorch; exit status 77, with a word, where something is missing.
set -eu
build=$(cd "$1" && pwd)
shift
tools=$(cd "$(dirname "$0")" && pwd)
backend=$build/integrations/executorch/libqvk_executorch.so
if [ -z "${QVK_REFERENCE_PYTHON:-}" ]; then
    echo "skipped: QVK_REFERENCE_PYTHON names no python with executorch"
    exit 77
fi
if [ ! -e "$backend" ]; then
    echo "skipped: $build has no ExecuTorch backend (meson configure -Dexecutorch=PATH)"
    exit 77
fi
exec "$QVK_REFERENCE_PYTHON" "$tools/executorch_suite.py" "$backend" "$@"

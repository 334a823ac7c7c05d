#!/bin/sh
# The ExecuTorch backend inside a real ExecuTorch: QVK_REFERENCE_PYTHON names a python that has torch and executorch, and
# the build was configured with that package (-Dexecutorch=).
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"
backend=$QVK_BUILD/integrations/executorch/libqvk_executorch.so

if [ -z "${QVK_REFERENCE_PYTHON:-}" ]; then
    skip "the ExecuTorch backend" "QVK_REFERENCE_PYTHON names no python with executorch"
    finish
fi
if [ ! -e "$backend" ]; then
    skip "the ExecuTorch backend" "this build has none: meson configure -Dexecutorch=PATH"
    finish
fi
export PYTHONPATH="$QVK_SOURCE/python" PYTHONDONTWRITEBYTECODE=1 QVK_TEST_GOLDEN="$QVK_SOURCE/tests/golden"
export QVK_LIBRARY="$QVK_BUILD/libqvk.so.0" QVK_EXECUTORCH_LIBRARY="$backend"
check "the ExecuTorch backend" "$QVK_REFERENCE_PYTHON" "$QVK_SOURCE/tests/integration/check_executorch.py"
finish

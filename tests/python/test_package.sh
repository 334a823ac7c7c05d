#!/bin/sh
# The Python package, with a python3 that has numpy: QVK_TEST_PYTHON, or the one in the path.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"
python=${QVK_TEST_PYTHON:-python3}

if ! "$python" -c 'import numpy' >/dev/null 2>&1; then
    skip "the Python package" "$python has no numpy (QVK_TEST_PYTHON names another)"
    finish
fi
export PYTHONPATH="$QVK_SOURCE/python" PYTHONDONTWRITEBYTECODE=1
export QVK_LIBRARY="$QVK_BUILD/libqvk.so.0" QVK_TEST_GOLDEN="$QVK_SOURCE/tests/golden"
check "the Python package" "$python" "$QVK_SOURCE/tests/python/check_package.py"
finish

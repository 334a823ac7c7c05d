#!/bin/sh
# expect_status.sh STATUS COMMAND...: succeeds when the command leaves with that exit status.
wanted=$1
shift
"$@"
got=$?
[ "$got" -eq "$wanted" ] || { echo "status $got, wanted $wanted"; exit 1; }

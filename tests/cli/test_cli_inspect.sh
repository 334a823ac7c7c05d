#!/bin/sh
# qvk inspect on the golden programs: the listing, JSON, data in other files, exit statuses.
# shellcheck disable=SC2016 # $ in single quotes is for the shell that check starts
. "$QVK_SOURCE/tests/cli/cli_checks.sh"
programs=$QVK_SOURCE/tests/golden/programs

lists_as() {
    listing=$1
    shift
    "$@" 2>/dev/null | cmp - "$listing"
}

check "the listing of a program" lists_as "$programs/kv_cache.txt" "$qvk" inspect --graph "$programs/kv_cache.pte"
check "data in another file" lists_as "$programs/linear_external.txt" \
    "$qvk" inspect --graph "$programs/linear_external.pte" --data "$programs/linear_external.ptd"
check "without it, an error that says so" sh -c '"$0" inspect "$1" 2>&1 | grep -q "^qvk: .*linear_external.pte: .*\.ptd"' \
    "$qvk" "$programs/linear_external.pte"
check "which is status 1" status 1 "$qvk" inspect "$programs/linear_external.pte"
check "a truncated program is status 1" sh -c \
    'head -c 1000 "$1" >"$2/cut.pte" && "$3" 1 "$0" inspect "$2/cut.pte"' \
    "$qvk" "$programs/kv_cache.pte" "$work" "$QVK_SOURCE/tests/cli/expect_status.sh"
check "another kind of file is status 1" status 1 "$qvk" inspect "$programs/kv_cache.txt"

for program in "$programs"/*.pte; do
    data=${program%.pte}.ptd
    set --
    [ ! -f "$data" ] || set -- --data "$data"
    check "JSON of $(basename "$program")" json 'd["format"] == "pte" and m["name"] == "forward" and "graph" not in m' \
        "$qvk" inspect --json "$program" "$@"
    check "and with its graph" json 'len(m["values"]) > 0 and len(m["instructions"]) > 0' \
        "$qvk" inspect --json --graph "$program" "$@"
done
check "quantized weights have a scheme" \
    json '[(w["scheme"], w["group_size"]) for w in m["delegates"][0]["weights"]] == [("8da4w", 32)]' \
    "$qvk" inspect --json "$programs/linear_8da4w.pte"
check "unfused 8-bit weights too" \
    json '[(w["scheme"], w["group_size"]) for w in m["delegates"][0]["weights"]] == [("8w", None)]' \
    "$qvk" inspect --json "$programs/linear_8da8w.pte"
check "what is outside has a reason" json '{o["name"]: o["reason"] for o in m["outside"]}["aten::topk.values"] == "int64"' \
    "$qvk" inspect --json "$programs/outside_lists.pte"
finish

#!/bin/sh
# operator_table.sh [ROOT]
# Prints docs/operators.md up to date: the rows of src/core/ops.def as Markdown tables, one for each group of the file.
# Operators without a reference function are looked up in the table of rules in src/lower/decompose.c.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2

cat <<'END'
Generated from src/core/ops.def and src/lower/decompose.c: `tools/operator_table.sh > docs/operators.md`.

# Operators

*reference*: the plain CPU version in `src/reference/`, which `--device cpu` and `--verify` use. *device*: a planner in
`src/kernels/` dispatches Vulkan kernels for it; a call that a planner refuses runs on the reference, as does an operator
with *no* here. *lowered*: `qvk lower` rewrites the operator into others of this page, and nothing executes it under its
own name; *symbolic*: its result is a number, which the host computes. *no* in both columns: the name and its parameters are
known, but it is neither lowered nor executed, and `qvk lower` says `operator ... is not supported`.

Data types: a tensor is float32, float16, bfloat16, float64, int8, uint8, int16, int32, int64 or bool
(`include/qvk/tensor.h` has each one's code in every file format). On a device int64 is held as int32 and float64 as
float32. `qvk lower` therefore leaves an `aten` operator on float64 tensors outside the delegate, and so it does with every
operator on bfloat16 or int16 tensors, for which the delegate format has no code; these run on the reference. A planner
refuses a type for which it has no kernel, and that call runs on the reference too.
END

awk '
FILENAME ~ /decompose/ {
    if ($0 ~ /^    (RENAME|REWRITE)\(/) {
        split($0, field, /[(,]/)
        lowered[field[2]] = 1
    }
    next
}
/^\/\* .* \*\/$/ && previous == "" { # a group; any other comment belongs to the rows behind it
    title = $0
    gsub(/^\/\* | \*\/$/, "", title)
    sub(/\.$/, "", title)
    symbolic = title ~ /symbolic integer/
    printf "\n## %s\n\n| operator | reference | device |\n|---|---|---|\n", title
}
/^OP\(/ {
    split($0, field, /, */)
    id = substr(field[1], 4)
    name = field[2]
    gsub(/"/, "", name)
    reference = field[5] == "NONE" ? "no" : "yes"
    device = field[6] == "NONE" ? "no" : "yes"
    if (reference == "no" && device == "no" && (symbolic || id in lowered))
        reference = device = symbolic ? "symbolic" : "lowered"
    printf "| `%s` | %s | %s |\n", name, reference, device
}
{ previous = $0 }
' src/lower/decompose.c src/core/ops.def

#!/bin/sh
# check_tree.sh [ROOT]
# The size and naming rules of CONTRIBUTING.md: file names lower snake case and unique in the tree, no source file above
# 1,000 lines, no function above 120, no marks of unfinished work. Prints file:line and the rule that is broken.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2
status=0

sources=$(git ls-files -c -o --exclude-standard -- '*.c' '*.h' '*.def' '*.comp' '*.glsl' '*.sh')

# ---- names ------------------------------------------------------------------------------------------------------

# A public header may share its name with the header of the room behind it: qvk/lower.h and lower/lower.h.
duplicates=$(echo "$sources" | grep -v '^include/' | sed 's|.*/||' | sort | uniq -d)
for name in $duplicates; do
    echo "$sources" | grep "\(^\|/\)$name\$" | sed 's/$/: this file name is used twice; names are unique in the tree/'
    status=1
done
odd=$(echo "$sources" | grep -v '\(^\|/\)[a-z0-9_]*\.[a-z]*$')
for path in $odd; do
    echo "$path: file names are lower snake case"
    status=1
done

# ---- length -----------------------------------------------------------------------------------------------------

for path in $sources; do
    lines=$(wc -l <"$path")
    if [ "$lines" -gt 1000 ]; then
        echo "$path: $lines lines; 1000 is the most"
        status=1
    fi
done

# A function is what stands between a line "{" and the next line "}" in the first column (the format guarantees it).
echo "$sources" | grep '\.c$' | xargs awk '
    FNR == 1 { start = 0 }
    /^\{/    { start = FNR }
    /^\}/    {
        if (start && FNR - start - 1 > 120) {
            printf "%s:%d: a function of %d lines; 120 is the most\n", FILENAME, start, FNR - start - 1
            bad = 1
        }
        start = 0
    }
    END { exit bad }' || status=1

# ---- unfinished work --------------------------------------------------------------------------------------------

marks='TO''DO|FIX''ME|XX''X([^X]|$)'
# mkdtemp templates end in six of them; that is no mark.
if git grep -nE --untracked "(^|[^A-Z])($marks)" -- ':!*.md' ':!LICENSE' ':!tests/golden'; then
    echo "the lines above mark unfinished work; finish it or open an issue"
    status=1
fi
exit $status

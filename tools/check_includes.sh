#!/bin/sh
# check_includes.sh [ROOT]
# Fails when a file includes what its room must not see. The rooms of src/ and their edges are the table below; every
# room may include its own headers and include/qvk. cli/ and examples/ see include/qvk only. Prints file:line, the
# include, and what is allowed.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2

edges='
base:
core: base
reference: base core
ir: base core
pt2: base core ir
quantize: base core ir
program: base core
lower: base core reference ir program
gpu: base
kernels: base core program gpu
runtime: base core program gpu kernels reference
api: base core reference ir pt2 quantize program lower gpu kernels runtime
'

find src cli examples include -name '*.[ch]' -o -name '*.def' | sort | xargs awk -v edges="$edges" '
    BEGIN {
        n = split(edges, lines, "\n")
        for (i = 1; i <= n; i++) {
            if (lines[i] == "")
                continue
            room = lines[i]; sub(/:.*/, "", room)
            rest = lines[i]; sub(/[^:]*: ?/, "", rest)
            known[room] = 1
            list[room] = rest
            allowed[room, room] = 1
            m = split(rest, names, " ")
            for (j = 1; j <= m; j++)
                allowed[room, names[j]] = 1
        }
    }
    function complain(what) {
        printf "%s:%d: #include \"%s\": %s\n", FILENAME, FNR, path, what
        bad = 1
    }
    FNR == 1 {
        split(FILENAME, part, "/")
        top = part[1]
        room = top == "src" ? part[2] : top
        if (top == "src" && !(room in known)) {
            printf "%s: src/%s is no room of tools/check_includes.sh\n", FILENAME, room
            bad = 1
        }
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        path = $0
        sub(/^[^"]*"/, "", path); sub(/".*/, "", path)
        if (path ~ /\.\./) {
            complain("write the path from src/ or include/, without ..")
            next
        }
        target = path
        if (!sub(/\/.*/, "", target))
            target = "." # beside the file, or shaders/kernels.def
        if (target == "qvk")
            next
        if (top != "src") {
            if (target != "." || (path ~ /\.def$/ && path != top "_commands.def"))
                complain(top "/ may include only include/qvk and its own headers")
        } else if (target == ".") {
            if (path == "kernels.def" ? room != "kernels" : path !~ /\.def$/)
                complain("write the path from src/ (kernels.def: room kernels only)")
        } else if (!(target in known)) {
            complain("src/" target " is no room")
        } else if (!((room, target) in allowed)) {
            complain("room " room " may include: " (list[room] == "" ? "nothing but itself" : list[room]))
        }
    }
    END { exit bad }
'

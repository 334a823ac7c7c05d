#!/bin/sh
# check.sh [STEP...]
# Everything a change must pass; `make check` runs all steps, in this order. Each build has its own folder below
# build-check. A step that fails shows its output; the rest still run. Exit status 1 when any failed.
set -u
cd "$(dirname "$0")/.." || exit 2
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}
swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
root=build-check
mkdir -p $root

# A configured and built folder below build-check: name, compiler, meson options.
build() {
    dir=$root/$1
    compiler=$2
    shift 2
    case $broken in
    *" $dir "*) echo "skipped: this build failed above"; return 1 ;;
    esac
    { [ -f "$dir/build.ninja" ] || CC=$compiler meson setup "$dir" -Dtests=enabled "$@"; } && ninja -C "$dir" -j "$jobs" && return
    broken="$broken $dir "
    return 1
}
broken=

step_format() { # every source in the project's format
    tools/check_format.sh || [ $? -eq 77 ]
}

step_rooms() { # no room includes what it must not see
    tools/check_includes.sh
}

step_tree() { # file names, sizes, no unfinished work
    tools/check_tree.sh
}

step_shell() { # scripts are clean, where shellcheck is there
    command -v shellcheck >/dev/null || { echo "skipped: no shellcheck"; return 0; }
    git ls-files '*.sh' .ci/run | xargs shellcheck -x -S warning -e SC2046
}

step_gcc() { # builds without a warning, tests pass
    build gcc gcc -Dwerror=true && tools/run_tests.sh -C $root/gcc --setup lavapipe
}

step_clang() { # builds without a warning, quick tests pass
    build clang clang -Dwerror=true && tools/run_tests.sh -C $root/clang --setup lavapipe --suite quick
}

step_runtime() { # the run half alone: links, and its quick tests pass
    build runtime gcc -Dcompiler=false && tools/run_tests.sh -C $root/runtime --setup lavapipe --suite quick
}

step_sanitize() { # all tests under the address and undefined-behaviour sanitizers
    build sanitize gcc -Db_sanitize=address,undefined -Db_lundef=false \
        -Dc_args='-fno-sanitize-recover=all -fno-omit-frame-pointer' || return 1
    LD_PRELOAD=$PWD/$root/sanitize/tests/support/libkeep_loaded.so \
        ASAN_OPTIONS=verify_asan_link_order=0:allocator_may_return_null=1:strict_string_checks=1:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=suppressions=$PWD/tests/support/leaks.supp:print_suppressions=0 \
        tools/run_tests.sh -C $root/sanitize --setup lavapipe
}

step_threads() { # quick tests under the thread sanitizer
    build threads gcc -Db_sanitize=thread -Db_lundef=false || return 1
    LD_PRELOAD=$PWD/$root/threads/tests/support/libkeep_loaded.so \
        TSAN_OPTIONS=allocator_may_return_null=1:suppressions=$PWD/tests/support/races.supp:print_suppressions=0 \
        tools/run_tests.sh -C $root/threads --setup lavapipe --suite quick
}

# The layers must be seen to complain before their silence means anything.
layers_listen() {
    words=$(VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_SETTINGS_PATH=tests/support \
        $root/gcc/tests/support/layer_probe 9>&1 >/dev/null)
    case $words in
    *SYNC-HAZARD*) ;;
    *) echo "the validation layers do not report a synchronization error: $words"; return 1 ;;
    esac
}

step_validation() { # the validation layers, synchronization included, have nothing to say
    build gcc gcc -Dwerror=true && layers_listen &&
        tools/run_tests.sh -C $root/gcc --setup validation --suite device --quiet-layers
}

step_shaders() { # every module is valid SPIR-V, where a validator is there
    validator=build/venv-glslang/bin/spirv-val
    [ -x $validator ] || validator=$(command -v spirv-val) || { echo "skipped: no spirv-val"; return 0; }
    build gcc gcc -Dwerror=true || return 1
    for module in "$root"/gcc/shaders/*.spv; do
        $validator --target-env vulkan1.3 "$module" || { echo "in $module"; return 1; }
    done
}

step_swiftshader() { # device tests on the device with the fewest features
    [ -e $swiftshader ] || { echo "skipped: no SwiftShader (Debian's chromium has it)"; return 0; }
    build gcc gcc -Dwerror=true && tools/run_tests.sh -C $root/gcc --setup swiftshader --suite device
}

step_install() { # what `make install` leaves is enough to compile and link against, static and shared
    build gcc gcc -Dwerror=true && tools/check_install.sh $root/gcc
}

steps='format rooms tree shell gcc clang runtime sanitize threads shaders validation swiftshader install'
[ $# -gt 0 ] || set -- $steps
failures=
for step in "$@"; do
    log=$root/$step.log
    printf '%-12s' "$step"
    if "step_$step" >"$log" 2>&1 </dev/null; then
        tail -n 1 "$log" | grep -E '^skipped|passed, ' || echo ok
    else
        echo FAILED
        tail -n 40 "$log" | sed 's/^/    /'
        failures="$failures $step"
    fi
done
[ -z "$failures" ] || { echo "failed:$failures (logs in $root)"; exit 1; }
echo "all checks passed"

#!/bin/sh
# Every kernel is valid SPIR-V, where spirv-val is there: drivers crash over what is not, and those of tests may not notice.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"

validator=$QVK_SOURCE/build/venv-glslang/bin/spirv-val
[ -x "$validator" ] || validator=$(command -v spirv-val)
if [ -z "$validator" ]; then
    skip "kernels are valid" "no spirv-val"
    finish
fi

# What the validator says, under the file's name. One that is older than a module does not know its capabilities.
invalid() {
    for module in "$QVK_BUILD"/shaders/*.spv; do
        said=$("$validator" --target-env vulkan1.3 "$module" 2>&1) && continue
        case $said in
        *"Invalid capability operand"*) ;;
        *) echo "$module: $said" ;;
        esac
    done
}
invalid >"$work/invalid"
check "kernels were built" ls "$QVK_BUILD"/shaders/*.spv
check "kernels are valid" sh -c "cat '$work/invalid'; [ ! -s '$work/invalid' ]"
echo 'not SPIR-V' >"$work/broken.spv"
check "what is not valid is found" sh -c "! '$validator' '$work/broken.spv'"
finish

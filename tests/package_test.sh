#!/bin/sh
# What a project that uses lowbit meets, static and shared: CMake's package, pkg-config, FetchContent, the examples in C,
# C++ and Rust, the Debian package. One version everywhere, and nothing exported but lowbit.h.
# Arguments: cmake; the source; a build of the static library; a folder to work in; options for every project configured
# here.
set -eu
cmake=$1 source=$2 static_build=$3 work=$4
shift 4

fail() {
  echo "package_test: $*"
  exit 1
}

# configure <source> <build> <option>...: quietly, unless it fails.
configure() {
  from=$1 to=$2
  shift 2
  "$cmake" -S "$from" -B "$to" -DCMAKE_BUILD_TYPE=Release "$@" >"$work/configure.log" 2>&1
}
build() {
  "$cmake" --build "$1" >"$work/build.log" 2>&1 || { cat "$work/build.log"; fail "$1 does not build"; }
}
must_configure() { configure "$@" || { cat "$work/configure.log"; fail "$1 does not configure"; }; }

# The build of the shared library stays, so that a second run is quick.
mkdir -p "$work"
rm -rf "$work/installed" "$work/moved" "$work/users" "$work/deb"

# ---- FetchContent, which builds the shared library ------------------------------------------------------------------

# Afresh, so that options have their defaults.
must_configure "$source/tests/package" "$work/fetched" --fresh "-DFETCHCONTENT_SOURCE_DIR_LOWBIT=$source" \
  -DBUILD_SHARED_LIBS=ON -DLOWBIT_INSTALL=ON -DLOWBIT_CUDA=OFF -DLOWBIT_VULKAN=OFF "$@"
build "$work/fetched"
version=$("$work/fetched/version")
echo "FetchContent: $version"

# ---- Both installed, and moved: the first place is gone -------------------------------------------------------------

"$cmake" --install "$work/fetched" --prefix "$work/installed/shared" >/dev/null
"$cmake" --install "$static_build" --prefix "$work/installed/static" >/dev/null
mv "$work/installed" "$work/moved"

same_version() {
  [ "$2" = "$version" ] || fail "$1 says version '$2', the library fetched '$version'"
  echo "$1: $2"
}

for kind in static shared; do
  prefix=$work/moved/$kind users=$work/users/$kind
  pc_file=$(find "$prefix" -name lowbit.pc)
  lib=${pc_file%/pkgconfig/lowbit.pc}
  export PKG_CONFIG_PATH="$lib/pkgconfig" LD_LIBRARY_PATH="$lib"
  case $kind in
    static) library=$lib/liblowbit.a pc_static=--static ;;
    shared) library=$lib/liblowbit.so pc_static= ;;
  esac
  [ -f "$library" ] || fail "$library is not installed"

  # CMake
  must_configure "$source/examples/c" "$users/c" "-DCMAKE_PREFIX_PATH=$prefix" "$@"
  same_version "$kind, CMake's package" "$(sed -n 's/^-- lowbit \([^ ]*\) with .*/\1/p' "$work/configure.log")"
  build "$users/c"
  same_version "$kind, C by CMake" "$("$users/c/version")"
  must_configure "$source/examples/quantize" "$users/quantize" "-DCMAKE_PREFIX_PATH=$prefix" "$@"
  build "$users/quantize"
  codes=$("$users/quantize/quantize_example")
  case $codes in
    *"codes 32 -64 16 127 0 95 -8 64,"*) echo "$kind, C++ by CMake: $codes" ;;
    *) fail "$kind, C++ by CMake: $codes" ;;
  esac

  # pkg-config
  same_version "$kind, pkg-config" "$(pkg-config --modversion lowbit)"
  # shellcheck disable=SC2046,SC2086  # flags are words
  cc "$source/examples/c/version.c" $(pkg-config $pc_static --cflags --libs lowbit) -o "$users/version"
  same_version "$kind, C by pkg-config" "$("$users/version")"

  # Rust
  if command -v cargo >/dev/null; then
    cargo build --quiet --offline --locked --manifest-path "$source/examples/rust/Cargo.toml" --target-dir "$users/rust"
    same_version "$kind, Rust" "$("$users/rust/debug/lowbit-sys" | head -n 1)"
  else
    echo "$kind, Rust: skipped, there is no cargo"
  fi
done

# ---- A component that the build lacks -------------------------------------------------------------------------------

mkdir -p "$work/users/component"
cat >"$work/users/component/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(wants_cuda LANGUAGES C)
find_package(lowbit REQUIRED COMPONENTS cpu cuda)
END
if configure "$work/users/component" "$work/users/component/build" "-DCMAKE_PREFIX_PATH=$work/moved/shared" "$@"; then
  fail "find_package finds a component that the build lacks"
fi
sentence="this build of lowbit lacks the component cuda; it has: cpu, reference"
# CMake breaks its lines.
tr -s ' \n' ' ' <"$work/configure.log" | grep -o "$sentence" || {
  cat "$work/configure.log"
  fail "find_package does not say which component is missing"
}

# ---- Exports: the functions of lowbit.h, each of them and nothing else ----------------------------------------------

sed -n 's/^LOWBIT_API .*\(lowbit_[a-z0-9_]*\)(.*/\1/p' "$source/host/include/lowbit/lowbit.h" | sort >"$work/declared"
nm -D --defined-only -P "$library" | cut -d ' ' -f 1 | sort >"$work/exported"
[ -s "$work/declared" ] || fail "no function is declared in lowbit.h"
diff "$work/declared" "$work/exported" || fail "declared in lowbit.h (<) is not what $library exports (>)"
echo "$(wc -l <"$work/exported") functions exported"

# ---- The Debian package ---------------------------------------------------------------------------------------------

if command -v dpkg-deb >/dev/null; then
  (cd "$static_build" && "$(dirname "$cmake")/cpack" -G DEB -B "$work/deb") >"$work/deb.log" 2>&1 ||
    { cat "$work/deb.log"; fail "cpack makes no package"; }
  same_version "Debian package" "$(dpkg-deb -f "$work"/deb/lowbit_*.deb Version)"
  dpkg-deb -c "$work"/deb/lowbit_*.deb >"$work/deb.list"
  grep -q '/usr/lib.*/liblowbit.a' "$work/deb.list" || fail "the Debian package has no library"
else
  echo "Debian package: skipped, there is no dpkg-deb"
fi

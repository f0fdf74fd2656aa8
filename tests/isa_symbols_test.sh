#!/bin/sh
# Files compiled for an instruction set must define no inline function that other files define too: the linker keeps one copy
# for all, and if it keeps theirs, the program dies on a machine without that instruction set.
# Arguments: the object files of the library.
status=0 checked=0
for object in "$@"; do
  case $object in */cpu/*) ;; *) continue ;; esac
  isa=$(basename "$(dirname "$object")")
  checked=$((checked + 1))
  shared=$(nm -C --defined-only "$object" | grep -E ' [WVu] ' | grep -v "lowbit::core::$isa::")
  if [ -n "$shared" ]; then
    echo "$object shares with other files:"
    echo "$shared"
    status=1
  fi
done
echo "$checked object files checked"
[ "$checked" -gt 0 ] || status=1
exit $status

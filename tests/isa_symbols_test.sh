#!/bin/sh
# Files compiled for an instruction set must define no inline function that other files define too: the linker keeps one copy
# for all, and if it keeps theirs, the program dies on a machine without that instruction set.
# DW.ref is a pointer, no code.
# Arguments: the object files of the library; those of an instruction set come from a target named after it.
status=0 checked=0
for object in "$@"; do
  case $object in */lowbit_*.dir/*host/cpu/*) ;; *) continue ;; esac
  isa=${object##*/lowbit_}
  isa=${isa%%.dir/*}
  checked=$((checked + 1))
  shared=$(nm -C --defined-only "$object" | grep -E ' [WVu] ' | grep -v -e "lowbit::core::$isa::" -e DW.ref.__gxx_personality_v0)
  if [ -n "$shared" ]; then
    echo "$object shares with other files:"
    echo "$shared"
    status=1
  fi
done
echo "$checked object files checked"
[ "$checked" -gt 0 ] || status=1
exit $status

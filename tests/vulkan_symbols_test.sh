#!/bin/sh
# volk defines a global variable for every function of Vulkan. Under their own names a program that links the loader, or
# volk, would get lowbit's variables in the place of functions; vulkan/vk.h gives them a prefix.
# Argument: the static library.
symbols=$(nm -g -P "$1" 2>/dev/null | cut -d ' ' -f 1)
exposed=$(echo "$symbols" | grep -E '^(vk|volk)' | sort -u)
renamed=$(echo "$symbols" | grep -cE '^lowbit_(vk|volk)')
if [ -n "$exposed" ]; then
  echo "$1 exposes:"
  echo "$exposed"
fi
echo "$renamed names with the prefix"
[ -z "$exposed" ] && [ "$renamed" -gt 0 ]

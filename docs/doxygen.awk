# Makes the comments of lowbit.h and lowbit.hpp doxygen's, line for line: a comment belongs to the declaration behind it, or
# to the one before it on its line. Its indented lines are kept as they stand.
{
  sub(/^\/\* -.*/, "")  # headings of parts
  if (FNR == 1) sub(/^(\/\*|\/\/)/, "& @file " (FILENAME ~ /hpp$/ ? "lowbit.hpp" : "lowbit.h"))
  # Said once, at the top of lowbit.h.
  sub(/uint32_t struct_size;$/, "& /* sizeof the struct */")
  # doxygen warns of an enumerator without a comment from 1.9.6 on, of an unknown command always.
  if (/LOWBIT_[A-Z0-9_]+ = [^\/]*$/) $0 = $0 " /* @missing_comment */"
  # A function of lowbit.hpp does what it calls.
  if (FILENAME ~ /hpp$/ && !/\/\// && match($0, /lowbit_[a-z_]+[(,]/)) {
    $0 = substr($0, 1, RSTART - 1) "/** " substr($0, RSTART, RLENGTH - 1) "() */ " substr($0, RSTART)
  }

  if (/^ *\/\*/) sub(/\/\*/, "/**")
  else if (/^ *\/\//) sub(/\/\//, "///")
  else if (/^[^#]/) sub(/ \/\* /, " /**< ")

  is_indented = /^ *(\*|\/\/\/)   /
  if (is_indented && !was_indented) sub(/\* |\/\/\/ /, "&<pre>")
  if (!is_indented && was_indented && !sub(/ *\*\/$/, "</pre>&", line)) line = line "</pre>"
  was_indented = is_indented
  if (FNR > 1) print line
  line = $0
}
END { print line }

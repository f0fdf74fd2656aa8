// Child processes: what a command wrote, and how it ended.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lowbit::test {

struct Command {
  std::vector<std::string> arguments;                             // the program first, by its path
  std::map<std::string, std::optional<std::string>> environment;  // on top of this process's own; nothing: unset
  std::string output;                                             // file to be its stdout; "": kept in Outcome::out
  bool close_output = false;                                      // without any stdout
  uint64_t largest_file = 0;                                      // bytes that a file may have (RLIMIT_FSIZE); 0: any
  int timeout = 120;                                              // seconds, then it is killed
};

struct Outcome {
  int code = 0;          // of its exit; -N when signal N ended it
  bool is_late = false;  // killed by the timeout
  std::string out, err;
};

// stdin is empty. Throws std::runtime_error if no process can be made; a program that cannot be run exits with 127.
Outcome run(const Command& command);

}  // namespace lowbit::test

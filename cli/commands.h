// The subcommands of `lowbit`. Each function adds one to the program; its callback runs it and throws on failure, with
// one sentence for the user.
#pragma once

#include <CLI/CLI.hpp>

namespace cli {

void add_info(CLI::App& program);
void add_generate(CLI::App& program);
void add_eval(CLI::App& program);
void add_pack(CLI::App& program);
void add_op(CLI::App& program);
void add_profile(CLI::App& program);

}  // namespace cli

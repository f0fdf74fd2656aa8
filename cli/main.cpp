// lowbit: what the library can do, from the command line. Every failure is one line on stderr and exit code 2.
#include <fmt/format.h>

#include <csignal>
#include <sstream>

#include "commands.h"
#include "console.h"
#include "lowbit/lowbit.h"

namespace {

// The sentence where a command should stand and none does; empty where that is not what is wrong. (CLI11 says only that
// one is required.)
std::string missing_command(const CLI::App& program) {
  const CLI::App* app = &program;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  std::string names;
  for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  if (names.empty()) return "";
  const std::vector<std::string> unknown = app->remaining();
  return unknown.empty() ? fmt::format("a command is missing, it may be {}", names)
                         : fmt::format("'{}' is not a command, it may be {}", unknown.front(), names);
}

}  // namespace

int main(int argc, char** argv) {
  // A file that may grow no further (ulimit -f) is a failure like any other.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    CLI::App program("Compute kernels for low-bit neural networks, and the Dragon Hatchling that runs on them.",
                     "lowbit");
    program.set_version_flag("--version", lowbit_version());
    program.require_subcommand(1);
    program.get_formatter()->column_width(36);
    program.footer(
        "Examples:\n"
        "  lowbit info\n"
        "  lowbit generate --model M.safetensors --prompt 'ROMEO:' --tokens 400 --weights int8\n"
        "  lowbit eval --model M.safetensors --text T.txt --weights ternary --against f32\n"
        "  lowbit profile --model M.safetensors --weights ternary\n"
        "  lowbit COMMAND --help");
    cli::add_info(program);
    cli::add_generate(program);
    cli::add_eval(program);
    cli::add_pack(program);
    cli::add_op(program);
    cli::add_profile(program);
    try {
      program.parse(argc, argv);
    } catch (const CLI::Success& help) {  // --help, --version
      std::ostringstream text;
      program.exit(help, text, text);
      cli::write_out(text.str());
    } catch (const CLI::RequiredError&) {
      const std::string sentence = missing_command(program);
      if (sentence.empty()) throw;
      throw std::runtime_error(sentence);
    }
    return 0;
  } catch (const std::exception& error) {
    cli::print_error(error.what());
    return 2;
  }
}

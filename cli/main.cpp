// lowbit: what the library can do, from the command line. Every failure is one line on stderr and exit code 2.
#include <sstream>

#include "commands.h"
#include "console.h"
#include "lowbit/lowbit.h"

int main(int argc, char** argv) {
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
        "  lowbit COMMAND --help");
    cli::add_info(program);
    cli::add_generate(program);
    cli::add_eval(program);
    cli::add_pack(program);
    cli::add_op(program);
    try {
      program.parse(argc, argv);
    } catch (const CLI::Success& help) {  // --help, --version
      std::ostringstream text;
      program.exit(help, text, text);
      cli::write_out(text.str());
    }
    return 0;
  } catch (const std::exception& error) {
    cli::print_error(error.what());
    return 2;
  }
}

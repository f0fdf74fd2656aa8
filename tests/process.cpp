#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <string_view>

extern char** environ;

namespace lowbit::test {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
    reader = ends[0];
    writer = ends[1];
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(reader);
    close_writer();
  }
  void close_writer() {
    if (writer >= 0) ::close(writer);
    writer = -1;
  }
  int reader = -1, writer = -1;
};

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!command.environment.contains(std::string(text.substr(0, text.find('='))))) result.emplace_back(text);
  }
  for (const auto& [name, value] : command.environment) {
    if (value) result.push_back(name + "=" + *value);
  }
  return result;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Between fork and exec; only calls that are safe there.
[[noreturn]] void become(const Command& command, int out, int err, char** arguments, char** environment) {
  const int in = ::open("/dev/null", O_RDONLY);
  if (!command.output.empty()) out = ::open(command.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (in < 0 || out < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(127);
  if (in > 2) ::close(in);
  if (!command.output.empty() && out > 2) ::close(out);
  if (command.close_output) ::close(1);
  const rlimit limit{command.largest_file, command.largest_file};
  if (command.largest_file != 0 && ::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(127);
  ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

// Takes what there is; false at the end.
bool drain(int fd, std::string& into) {
  char buffer[1 << 14];
  const ssize_t n = ::read(fd, buffer, sizeof(buffer));
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) return false;
  into.append(buffer, static_cast<size_t>(n));
  return true;
}

}  // namespace

Outcome run(const Command& command) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::seconds(command.timeout);
  std::vector<std::string> arguments = command.arguments, environment = environment_of(command);
  const std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
  Pipe out, err;
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  if (child == 0)
    become(command, out.writer, err.writer, const_cast<char**>(argv.data()), const_cast<char**>(envp.data()));
  out.close_writer();
  err.close_writer();

  Outcome outcome;
  pollfd ends[2] = {{out.reader, POLLIN, 0}, {err.reader, POLLIN, 0}};
  std::string* texts[2] = {&outcome.out, &outcome.err};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {  // poll skips the negative one
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      outcome.is_late = true;
      ::kill(child, SIGKILL);
      break;
    }
    if (::poll(ends, 2, static_cast<int>(left)) <= 0) continue;
    for (size_t i = 0; i < 2; ++i) {
      if (ends[i].revents != 0 && !drain(ends[i].fd, *texts[i])) ends[i].fd = -1;
    }
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return outcome;
}

}  // namespace lowbit::test

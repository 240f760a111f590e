#pragma once
// Context: what a running command has at hand: the global flags, where to print, the kubeconfig,
// the API server (connected at first use). Lives as long as the command.
#include <fmt/format.h>

#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/client/kubeconfig/kubeconfig.h"
#include "ctl/cli/api.h"
#include "ctl/cli/command.h"

namespace moth::ctl {

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool colours = false;  // on `out`
};

// The flags that every command takes.
const std::vector<FlagSpec>& global_flags();

class Context {
 public:
  // `path` is how the command is called ("moth create role"), for its own messages.
  Context(Streams streams, const Command& root, const Arguments& arguments, std::string path = "");
  ~Context();

  template <class... T>
  void print(fmt::format_string<T...> format, T&&... values) {
    write_out(fmt::format(format, std::forward<T>(values)...));
  }
  template <class... T>
  void warn(fmt::format_string<T...> format, T&&... values) {
    write_err(fmt::format(format, std::forward<T>(values)...) + "\n");
  }
  void write_out(std::string_view text);
  void write_err(std::string_view text);
  // Makes what was printed visible: after each step of something that goes on.
  void flush();
  std::istream& in() { return streams_.in; }
  std::ostream& out() { return streams_.out; }
  bool colours() const { return streams_.colours; }

  // Prints a failure that does not end the command and remembers it for the exit code.
  void report(const Failure& failure);
  // Of a failure with one of several things: reports it, so that the others get their turn. Gives
  // it back when the network is to blame, for which the others would fail as well.
  Outcome<> carry_on(const Failure& failure);
  // 0, or 1 after a report().
  int exit_code() const { return reported_ ? 1 : 0; }
  std::string failure_message(const Failure& failure) const;

  // The files that the configuration comes from: --kubeconfig, $KUBECONFIG, the daemon's own
  // /var/lib/moth/admin.kubeconfig when it may be read, ~/.kube/config.
  std::vector<std::string> kubeconfig_files() const;
  Outcome<Kubeconfig> kubeconfig() const;

  Outcome<Api*> api();
  // The namespace of the command: -n, else the context's.
  Outcome<std::string> ns();
  bool ns_given() const;  // by -n

  const Arguments& arguments() const { return arguments_; }
  const Command& root() const { return root_; }
  const std::string& path() const { return path_; }
  // Warnings that the server sent.
  int warnings() const { return warnings_; }
  // `message` and where the command's usage is explained.
  tl::unexpected<Failure> usage_error(std::string_view message) const;

 private:
  Streams streams_;
  const Command& root_;
  const Arguments& arguments_;
  std::unique_ptr<Api> api_;
  std::string path_;
  std::string server_;
  int warnings_ = 0;
  bool reported_ = false;
};

// The daemon's own kubeconfig when nothing names another one and it may be read, else "".
std::string daemon_kubeconfig();

// Runs a whole command line (without the program's name) and returns the exit code.
int run_command_line(const Command& root, const std::vector<std::string>& args, Streams streams);

}  // namespace moth::ctl

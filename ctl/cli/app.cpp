#include <fmt/format.h>

#include <cstdlib>
#include <iostream>

#include "ctl/cli/context.h"
#include "ctl/cli/plugins.h"

namespace moth::ctl {
namespace {

std::string path_text(const std::vector<const Command*>& path) {
  std::string text;
  for (const Command* command : path)
    text += (text.empty() ? "" : " ") + std::string(command->name);
  return text;
}

bool asks_for_help(const std::vector<std::string>& args) {
  for (const std::string& arg : args) {
    if (arg == "--") return false;
    if (arg == "--help" || arg == "-h") return true;
  }
  return false;
}

// The command of the user's own whose name is nearest, for a suggestion.
std::string nearest(const Command& command, std::string_view word) {
  auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= b.size(); ++j) {
        std::size_t above = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    return row[b.size()];
  };
  std::string best;
  std::size_t least = 3;
  for (const Command& child : command.children) {
    std::size_t found = distance(word, child.name);
    if (!child.hidden && found < least) {
      least = found;
      best = child.name;
    }
  }
  return best;
}

int refuse_unknown(const Found& found, Streams& streams) {
  std::string where = path_text(found.path);
  streams.err << fmt::format("error: unknown command \"{}\" for \"{}\"\n", found.unknown, where);
  if (std::string guess = nearest(*found.path.back(), found.unknown); !guess.empty())
    streams.err << fmt::format("\nDid you mean this?\n\t{}\n", guess);
  else
    streams.err << fmt::format("See '{} --help' for usage.\n", where);
  return 1;
}

// A word that is no command may be a plugin on the PATH; also `moth create WORD`.
std::optional<int> try_plugin(const Found& found, const std::vector<std::string>& args,
                              Streams& streams) {
  const char* path = std::getenv("PATH");
  if (!path || args.empty() || args[0].starts_with('-')) return std::nullopt;
  auto call = find_plugin(args, path);
  if (!call) return std::nullopt;
  // Only when the plugin's name is longer than the command's.
  std::size_t used = args.size() - call->arguments.size();
  if (used < found.path.size()) return std::nullopt;
  streams.out.flush();
  streams.err << failure_text(run_plugin(*call, daemon_kubeconfig()), "");
  return 1;
}

int run(const Command& command, Context& context, const Arguments& arguments) {
  auto code = command.run(context, arguments);
  if (!code) {
    int exit_code = code.error().exit_code;
    if (!code.error().error.message.empty()) context.report(code.error());
    context.flush();
    return exit_code;
  }
  context.flush();
  if (*code == 0 && context.warnings() > 0 && arguments.flag("warnings-as-errors")) {
    context.warn("error: {} warning{} received", context.warnings(),
                 context.warnings() == 1 ? "" : "s");
    return 1;
  }
  return *code;
}

}  // namespace

int run_command_line(const Command& root, const std::vector<std::string>& args, Streams streams) {
  Found found = find_command(root, args, global_flags());
  if (!found.rest.empty() && found.rest[0] == "help" && found.path.size() == 1) {
    found = find_command(root, {found.rest.begin() + 1, found.rest.end()}, global_flags());
    streams.out << help_text(found.path, global_flags());
    return 0;
  }
  bool create = found.path.size() == 2 && found.path[1]->name == "create" && args.size() > 1 &&
                !args[1].starts_with('-');
  if (!found.unknown.empty() || create) {
    if (auto code = try_plugin(found, args, streams)) return *code;
  }
  if (!found.unknown.empty()) return refuse_unknown(found, streams);
  const Command& command = *found.path.back();
  if (asks_for_help(found.rest) || !command.run) {
    streams.out << help_text(found.path, global_flags());
    streams.out.flush();
    return 0;
  }
  auto arguments = parse_arguments(found.rest, {&command.flags, &global_flags()});
  if (!arguments) {
    streams.err << fmt::format("error: {}\nSee '{} --help' for usage.\n", arguments.error().message,
                               path_text(found.path));
    return 1;
  }
  Context context(streams, root, *arguments, path_text(found.path));
  return run(command, context, *arguments);
}

}  // namespace moth::ctl

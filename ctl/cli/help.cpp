#include <fmt/format.h>

#include <algorithm>

#include "ctl/cli/command.h"

namespace moth::ctl {
namespace {

std::string path_text(const std::vector<const Command*>& path) {
  std::string text;
  for (const Command* command : path)
    text += (text.empty() ? "" : " ") + std::string(command->name);
  return text;
}

std::string shown_initial(const FlagSpec& flag) {
  switch (flag.kind) {
    case FlagKind::kBool:
      return flag.initial.empty() ? "false" : std::string(flag.initial);
    case FlagKind::kInteger:
      return flag.initial.empty() ? "0" : std::string(flag.initial);
    case FlagKind::kDuration:
      return flag.initial.empty() ? "0s" : std::string(flag.initial);
    case FlagKind::kList:
    case FlagKind::kTexts:
      return "[]";
    case FlagKind::kText:
      break;
  }
  return fmt::format("'{}'", flag.initial);
}

std::string indented(std::string_view text, std::string_view indent) {
  std::string out;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty()) out += std::string(indent) + std::string(line);
    out += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string flags_text(const std::vector<FlagSpec>& flags) {
  std::vector<FlagSpec> sorted = flags;
  std::sort(sorted.begin(), sorted.end(),
            [](const FlagSpec& a, const FlagSpec& b) { return a.name < b.name; });
  std::string text;
  for (const FlagSpec& flag : sorted) {
    if (flag.hidden) continue;
    std::string letter = flag.letter ? fmt::format("-{}, ", flag.letter) : "    ";
    text += fmt::format("    {}--{}={}:\n", letter, flag.name, shown_initial(flag));
    text += indented(flag.help, "\t");
    text += '\n';
  }
  return text;
}

std::string overview_text(const Command& root) {
  std::string text = std::string(root.details) + "\n";
  std::vector<std::string_view> groups;
  for (const Command& child : root.children) {
    if (!child.hidden && std::find(groups.begin(), groups.end(), child.group) == groups.end())
      groups.push_back(child.group);
  }
  for (std::string_view group : groups) {
    text += fmt::format("\n{}:\n", group);
    for (const Command& child : root.children) {
      if (child.group == group && !child.hidden)
        text += fmt::format("  {:<15} {}\n", child.name, child.summary);
    }
  }
  text += fmt::format(
      "\nUsage:\n  {0} [flags] [options]\n\n"
      "Use \"{0} <command> --help\" for more information about a given command.\n"
      "Use \"{0} options\" for the flags that every command takes.\n",
      root.name);
  return text;
}

std::string help_text(const std::vector<const Command*>& path,
                      const std::vector<FlagSpec>& globals) {
  const Command& command = *path.back();
  if (path.size() == 1) return overview_text(command);
  std::string text = std::string(command.summary) + "\n";
  if (!command.details.empty()) text += "\n" + indented(command.details, "");
  if (!command.examples.empty()) text += "\nExamples:\n" + indented(command.examples, "  ");
  if (!command.children.empty()) {
    text += "\nAvailable Commands:\n";
    for (const Command& child : command.children) {
      if (!child.hidden) text += fmt::format("  {:<15} {}\n", child.name, child.summary);
    }
  }
  std::string flags = flags_text(command.flags);
  if (!flags.empty()) text += "\nOptions:\n" + flags;
  std::string usage = command.usage.empty() && !command.children.empty()
                          ? "SUBCOMMAND"
                          : std::string(command.usage);
  text += fmt::format("{}Usage:\n  {}{}{} [options]\n", flags.empty() ? "\n" : "", path_text(path),
                      usage.empty() ? "" : " ", usage);
  text += fmt::format(
      "\nUse \"{} options\" for a list of global command-line options (-n, --context, "
      "--kubeconfig and {} more).\n",
      path[0]->name, globals.size() - 3);
  return text;
}

}  // namespace moth::ctl

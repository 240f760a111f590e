#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "ctl/cli/context.h"
#include "ctl/cli/plugins.h"
#include "ctl/commands/all.h"

namespace moth::ctl {
namespace {

constexpr std::string_view kBash = R"(# bash completion for moth: source <(moth completion bash)
_moth_complete() {
  local IFS=$'\n' word
  local line=("${COMP_WORDS[@]:1:COMP_CWORD}")
  COMPREPLY=()
  while read -r word; do
    COMPREPLY+=("$word")
  done < <("${COMP_WORDS[0]}" __complete -- "${line[@]}" 2>/dev/null)
  if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]]; then
    compopt -o nospace
  fi
}
complete -o default -F _moth_complete moth
)";

constexpr std::string_view kZsh = R"(#compdef moth
# zsh completion for moth: source <(moth completion zsh)
_moth() {
  local -a found
  found=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=("${(@)found:#}")
  if (( ${#found} == 0 )); then
    _files
  elif (( ${#found} == 1 )) && [[ ${found[1]} == */ ]]; then
    compadd -Q -S '' -- "${found[@]}"
  else
    compadd -Q -- "${found[@]}"
  fi
}
if (( ! $+functions[compdef] )); then
  autoload -Uz compinit && compinit
fi
compdef _moth moth
)";

constexpr std::string_view kFish = R"(# fish completion for moth: moth completion fish | source
function __moth_complete
  set -l line (commandline -opc)
  set -l word (commandline -ct)
  set -l found ($line[1] __complete -- $line[2..-1] "$word" 2>/dev/null)
  if test (count $found) -eq 0
    __fish_complete_path "$word"
  else
    printf '%s\n' $found
  end
end
complete -c moth -e
complete -c moth -f -a '(__moth_complete)'
)";

Outcome<int> run_completion(Context& context, const Arguments& arguments) {
  std::string shell = arguments.words.size() == 1 ? arguments.words[0] : "";
  if (shell == "bash") {
    context.write_out(kBash);
  } else if (shell == "zsh") {
    context.write_out(kZsh);
  } else if (shell == "fish") {
    context.write_out(kFish);
  } else if (!shell.empty()) {
    return context.usage_error(fmt::format("Unsupported shell type \"{}\".", shell));
  } else {
    return context.usage_error("Shell not specified: bash, fish or zsh is expected.");
  }
  return 0;
}

struct Completer {
  Context& context;  // of the line that is completed
  std::string current;
  std::set<std::string> offers;

  void offer(const std::string& word) {
    if (word.starts_with(current)) offers.insert(word);
  }

  void types(std::string_view suffix = "") {
    auto api = context.api();
    auto mapper = api ? (*api)->mapper() : Outcome<const client::RestMapper*>(fail(api.error()));
    if (!mapper) return;
    for (const ApiResource* resource : (*mapper)->preferred()) {
      if (resource->has_verb("list")) offer(resource->plural + std::string(suffix));
    }
  }

  void names(const std::string& type, const std::string& prefix = "") {
    auto api = context.api();
    if (!api) return;
    auto resource = (*api)->resource(type);
    auto ns = context.ns();
    if (!resource || !ns) return;
    auto list = (*api)->list(**resource, *ns);
    if (!list) return;
    for (const Json& item : (*list)["items"]) offer(prefix + string_or(item["metadata"], "name"));
  }

  // Of the pod that the line names.
  void containers(const std::vector<std::string>& words) {
    auto api = context.api();
    auto ns = context.ns();
    if (!api || !ns || words.empty()) return;
    auto pods = (*api)->resource("pods");
    std::string name =
        words[0].substr(words[0].find('/') == std::string::npos ? 0 : words[0].find('/') + 1);
    auto pod = pods ? (*api)->get(**pods, *ns, name) : Outcome<Json>(fail(pods.error()));
    if (!pod) return;
    for (const char* list : {"containers", "initContainers", "ephemeralContainers"}) {
      const Json* found = find_path(*pod, "spec", list);
      for (const Json& container : found ? *found : Json::array())
        offer(string_or(container, "name"));
    }
  }

  template <class F>
  void config_names(F entries) {
    auto config = context.kubeconfig();
    if (!config) return;
    for (const auto& [name, entry] : entries(*config)) offer(name);
  }
  void contexts() {
    config_names([](const Kubeconfig& config) -> const auto& { return config.contexts; });
  }
  void clusters() {
    config_names([](const Kubeconfig& config) -> const auto& { return config.clusters; });
  }
  void users() {
    config_names([](const Kubeconfig& config) -> const auto& { return config.users; });
  }
};

const FlagSpec* flag_named(const Command& command, std::string_view word) {
  for (const auto* list : {&command.flags, &global_flags()}) {
    for (const FlagSpec& flag : *list) {
      bool same = word.starts_with("--")
                      ? flag.name == word.substr(2)
                      : word.size() == 2 && word[0] == '-' && flag.letter == word[1];
      if (same) return &flag;
    }
  }
  return nullptr;
}

void offer_flag_value(Completer& completer, const FlagSpec& flag,
                      const std::vector<std::string>& words) {
  if (flag.name == "namespace") completer.names("namespaces");
  if (flag.name == "context") completer.contexts();
  if (flag.name == "cluster") completer.clusters();
  if (flag.name == "user") completer.users();
  if (flag.name == "container") completer.containers(words);
  if (flag.name == "cascade")
    for (const char* mode : {"background", "foreground", "orphan"}) completer.offer(mode);
  if (flag.name == "output") {
    for (const char* form :
         {"json", "yaml", "name", "wide", "jsonpath=", "custom-columns=", "go-template=", "kyaml"})
      completer.offer(form);
  }
  if (flag.name == "dry-run")
    for (const char* mode : {"none", "client", "server"}) completer.offer(mode);
}

void offer_words(Completer& completer, const Command& command,
                 const std::vector<std::string>& words) {
  auto slash = completer.current.find('/');
  switch (command.words) {
    case Words::kResources:
    case Words::kResourceNames:
      if (slash != std::string::npos) {
        completer.names(completer.current.substr(0, slash), completer.current.substr(0, slash + 1));
      } else if (words.empty()) {
        completer.types();
      } else {
        completer.names(words[0]);
      }
      break;
    case Words::kPods:
      if (slash != std::string::npos)
        completer.names(completer.current.substr(0, slash), completer.current.substr(0, slash + 1));
      else
        completer.names("pods");
      break;
    case Words::kNodes:
      completer.names("nodes");
      break;
    case Words::kContexts:
      completer.contexts();
      break;
    case Words::kClusters:
      completer.clusters();
      break;
    case Words::kUsers:
      completer.users();
      break;
    case Words::kFiles:
    case Words::kNone:
      break;
  }
}

void offer_plugins(Completer& completer) {
  const char* path = std::getenv("PATH");
  for (const Plugin& plugin : list_plugins(path ? path : "", {})) {
    std::string name = plugin.name.substr(plugin.name.find('-') + 1);
    std::replace(name.begin(), name.end(), '_', '-');
    if (plugin.warnings.empty()) completer.offer(name);
  }
}

// What may stand at the end of a line: the words before, and the beginning of the last one.
Outcome<int> run_complete(Context& context, const Arguments& arguments) {
  std::vector<std::string> line = arguments.words;
  if (line.empty()) line.emplace_back();
  std::string current = line.back();
  line.pop_back();
  Found found = find_command(context.root(), line, global_flags());
  const Command& command = *found.path.back();
  // A flag that still waits for its value makes the rest unreadable; it is looked at by itself.
  const FlagSpec* pending = line.empty() ? nullptr : flag_named(command, line.back());
  if (pending && (pending->kind == FlagKind::kBool || !pending->bare.empty())) pending = nullptr;
  std::vector<std::string> rest = found.rest;
  if (pending && !rest.empty()) rest.pop_back();
  auto parsed = parse_arguments(rest, {&command.flags, &global_flags()});
  auto bare = parse_arguments({}, {&command.flags, &global_flags()});
  const Arguments& known = parsed ? *parsed : *bare;
  Streams silent{context.in(), context.out(), context.out(), false};
  Context inner(silent, context.root(), known);
  Completer completer{inner, current, {}};
  if (pending) {
    offer_flag_value(completer, *pending, known.words);
  } else if (current.starts_with("-")) {
    for (const auto* list : {&command.flags, &global_flags()})
      for (const FlagSpec& flag : *list)
        if (!flag.hidden) completer.offer("--" + std::string(flag.name));
  } else if (!command.children.empty() && known.words.empty()) {
    for (const Command& child : command.children)
      if (!child.hidden) completer.offer(std::string(child.name));
    if (found.path.size() == 1) offer_plugins(completer);
  } else {
    offer_words(completer, command, known.words);
  }
  for (const std::string& word : completer.offers) context.print("{}\n", word);
  return 0;
}

Outcome<int> run_options(Context& context, const Arguments&) {
  context.write_out("The following options can be passed to any command:\n\n");
  context.write_out(flags_text(global_flags()));
  return 0;
}

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .group = "Other",
          .summary = "Output shell completion code for bash, zsh or fish",
          .usage = "SHELL",
          .examples =
              "source <(moth completion bash)\nsource <(moth completion zsh)\n"
              "moth completion fish | source",
          .run = run_completion};
}

Command complete_command() {
  return {.name = "__complete",
          .group = "Other",
          .summary = "What could come next on a line",
          .run = run_complete,
          .hidden = true};
}

Command options_command() {
  return {.name = "options",
          .group = "Other",
          .summary = "Print the flags inherited by all commands",
          .run = run_options};
}

}  // namespace moth::ctl

#include "ctl/commands/set_objects.h"

#include <fmt/format.h>

namespace moth::ctl {
namespace {

// The whole of a pattern with `*` and `?`.
bool matches(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (std::size_t i = 0; i <= text.size(); ++i)
      if (matches(text.substr(i), pattern.substr(1))) return true;
    return false;
  }
  bool same = !text.empty() && (pattern[0] == '?' || pattern[0] == text[0]);
  return same && matches(text.substr(1), pattern.substr(1));
}

}  // namespace

std::vector<FlagSpec> set_flags() {
  return join_flags({print_flags(),
                     filename_flags("Files that name the objects."),
                     selector_flags(),
                     {dry_run_flag(), field_manager_flag(), local_flag()}});
}

std::pair<std::vector<std::string>, std::vector<std::string>> split_changes(
    const std::vector<std::string>& words) {
  std::pair<std::vector<std::string>, std::vector<std::string>> out;
  for (const std::string& word : words) {
    bool change = word.find('=') != std::string::npos || (word.size() > 1 && word.ends_with('-'));
    (change || !out.second.empty() ? out.second : out.first).push_back(word);
  }
  return out;
}

int each_container(Json& pod_spec, const std::string& pattern, bool with_init,
                   const std::function<void(Json&)>& change) {
  int count = 0;
  for (const char* list : {"containers", "initContainers"}) {
    if (!pod_spec.contains(list) || (!with_init && std::string_view(list) == "initContainers"))
      continue;
    for (Json& container : pod_spec[list]) {
      if (!matches(string_or(container, "name"), pattern)) continue;
      change(container);
      ++count;
    }
  }
  return count;
}

Outcome<Json*> pod_spec_or_refuse(Json& object) {
  if (Json* spec = pod_spec_of(object)) return spec;
  return refuse(
      fmt::format("{} has no pod template that could be changed", string_or(object, "kind")));
}

Outcome<std::vector<ObjectInfo>> set_targets(Context& context, const Arguments& arguments,
                                             std::vector<std::string> words) {
  SelectOptions options = select_options(arguments, std::move(words), true);
  options.local = arguments.flag("local");
  if (options.words.empty() && options.filenames.empty())
    return refuse(
        "one or more resources must be specified as <resource> <name> or <resource>/<name>");
  return select_objects(context, options);
}

Outcome<int> run_set(Context& context, const Arguments& arguments, std::vector<std::string> words,
                     std::string_view done,
                     const std::function<Outcome<>(const ObjectInfo&, Json&)>& change) {
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  bool local = arguments.flag("local");
  if (local && dry_run == DryRun::kServer)
    return refuse("cannot specify --local and --dry-run=server");
  MOTH_ASSIGN(auto objects, set_targets(context, arguments, std::move(words)));
  Edit edit{manager_of(arguments, "kubectl-set"), dry_run};
  edit.local = local;
  return change_objects(context, arguments, objects, edit, done, change);
}

}  // namespace moth::ctl

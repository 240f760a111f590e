#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"

namespace moth::ctl {
namespace {

// The words before the first one with `=` (or ending in `-`) name objects.
std::pair<std::vector<std::string>, std::vector<std::string>> split_words(
    const std::vector<std::string>& words) {
  std::pair<std::vector<std::string>, std::vector<std::string>> out;
  for (const std::string& word : words) {
    bool change = word.find('=') != std::string::npos || (word.size() > 1 && word.ends_with('-'));
    (change || !out.second.empty() ? out.second : out.first).push_back(word);
  }
  return out;
}

bool matches(const Json& container, const std::string& pattern) {
  return pattern == "*" || string_or(container, "name") == pattern;
}

// Calls `change` for each container that `pattern` means; how many there were.
template <class F>
int each_container(Json& spec, const std::string& pattern, F change, bool init = true) {
  int count = 0;
  for (const char* list : {"containers", "initContainers"}) {
    if (!spec.contains(list) || (!init && std::string_view(list) == "initContainers")) continue;
    for (Json& container : spec[list]) {
      if (!matches(container, pattern)) continue;
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

Outcome<int> run_set(Context& context, const Arguments& arguments, std::vector<std::string> words,
                     std::string_view done,
                     const std::function<Outcome<>(const ObjectInfo&, Json&)>& change) {
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(auto objects,
              select_objects(context, select_options(arguments, std::move(words), true)));
  return change_objects(context, arguments, objects, {"kubectl-set", dry_run}, done, change);
}

Outcome<int> run_set_image(Context& context, const Arguments& arguments) {
  auto [words, images] = split_words(arguments.words);
  if (images.empty()) return refuse("at least one image update is required");
  return run_set(context, arguments, words, "image updated",
                 [&](const ObjectInfo&, Json& object) -> Outcome<> {
                   MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(object));
                   for (const std::string& word : images) {
                     auto equals = word.find('=');
                     std::string name = word.substr(0, equals), image = word.substr(equals + 1);
                     int found = each_container(
                         *spec, name, [&](Json& container) { container["image"] = image; });
                     if (found == 0)
                       return refuse(fmt::format("unable to find container named \"{}\"", name));
                   }
                   return {};
                 });
}

void set_variable(Json& container, const std::string& name, const std::string& value) {
  Json& list = container["env"];
  if (!list.is_array()) list = Json::array();
  for (Json& entry : list) {
    if (string_or(entry, "name") != name) continue;
    entry = {{"name", name}, {"value", value}};
    return;
  }
  list.push_back({{"name", name}, {"value", value}});
}

void drop_variable(Json& container, const std::string& name) {
  if (!container.contains("env")) return;
  Json& list = container["env"];
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const Json& entry) { return string_or(entry, "name") == name; }),
             list.end());
  if (list.empty()) container.erase("env");
}

std::string source_text(const Json& from) {
  for (const char* kind : {"configMapKeyRef", "secretKeyRef"}) {
    if (const Json* ref = find_member(from, kind)) {
      return fmt::format("{} {}, key {}",
                         std::string_view(kind) == "secretKeyRef" ? "secret" : "configmap",
                         string_or(*ref, "name"), string_or(*ref, "key"));
    }
  }
  if (const Json* ref = find_member(from, "fieldRef"))
    return "field path " + string_or(*ref, "fieldPath");
  if (const Json* ref = find_member(from, "resourceFieldRef"))
    return "resource field " + string_or(*ref, "resource");
  return "an unknown source";
}

Outcome<int> list_env(Context& context, const Arguments& arguments,
                      const std::vector<std::string>& words) {
  MOTH_ASSIGN(auto objects, select_objects(context, select_options(arguments, words, true)));
  for (ObjectInfo& info : objects) {
    MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(info.object));
    each_container(
        *spec, arguments.text("containers"),
        [&](Json& container) {
          context.print("# {} {}, container {}\n", info.resource->kind, info.name,
                        string_or(container, "name"));
          const Json* list = find_member(container, "env");
          for (const Json& entry : list ? *list : Json::array()) {
            std::string name = string_or(entry, "name");
            if (const Json* from = find_member(entry, "valueFrom"))
              context.print("# {} from {}\n", name, source_text(*from));
            else
              context.print("{}={}\n", name, string_or(entry, "value"));
          }
        },
        false);
  }
  return context.exit_code();
}

Outcome<int> run_set_env(Context& context, const Arguments& arguments) {
  auto [words, changes] = split_words(arguments.words);
  if (arguments.flag("list")) return list_env(context, arguments, words);
  for (const std::string& change : arguments.texts("env")) changes.push_back(change);
  if (changes.empty()) return refuse("at least one environment variable must be provided");
  return run_set(
      context, arguments, words, "env updated", [&](const ObjectInfo&, Json& object) -> Outcome<> {
        MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(object));
        int found = each_container(
            *spec, arguments.text("containers"),
            [&](Json& container) {
              for (const std::string& change : changes) {
                auto equals = change.find('=');
                if (equals == std::string::npos)
                  drop_variable(container, change.substr(0, change.size() - 1));
                else
                  set_variable(container, change.substr(0, equals), change.substr(equals + 1));
              }
            },
            false);
        if (found > 0) return {};
        return refuse(fmt::format("{} does not have any containers matching \"{}\"",
                                  string_or(object, "kind"), arguments.text("containers")));
      });
}

// "cpu=1,memory=1Gi"
Outcome<Json> amounts(const std::string& text) {
  Json map = Json::object();
  for (std::size_t from = 0; from < text.size();) {
    auto end = std::min(text.find(',', from), text.size());
    std::string part = text.substr(from, end - from);
    auto equals = part.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(fmt::format("invalid argument syntax {}, expected <resource>=<value>", part));
    map[part.substr(0, equals)] = part.substr(equals + 1);
    from = end + 1;
  }
  return map;
}

Outcome<int> run_set_resources(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Json limits, amounts(arguments.text("limits")));
  MOTH_ASSIGN(Json requests, amounts(arguments.text("requests")));
  if (limits.empty() && requests.empty())
    return refuse(
        "you must specify an update to requests or limits (in the form of "
        "--requests/--limits)");
  return run_set(context, arguments, arguments.words, "resource requirements updated",
                 [&](const ObjectInfo&, Json& object) -> Outcome<> {
                   MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(object));
                   each_container(
                       *spec, arguments.text("containers"),
                       [&](Json& container) {
                         auto put = [&](const char* member, const Json& values) {
                           for (const auto& [key, value] : values.items()) {
                             // Zero takes the entry away.
                             if (value == "0")
                               container["resources"][member].erase(key);
                             else
                               container["resources"][member][key] = value;
                           }
                         };
                         put("limits", limits);
                         put("requests", requests);
                       },
                       false);
                   return {};
                 });
}

std::vector<FlagSpec> set_flags() {
  return join_flags(
      {print_flags(),
       filename_flags("Files that name the objects."),
       selector_flags(),
       {dry_run_flag(), {"field-manager", 0, FlagKind::kText, "", "Taken for compatibility."}}});
}

}  // namespace

Command set_command() {
  FlagSpec containers{"containers", 'c', FlagKind::kText, "*", "Only this container."};
  return {.name = "set",
          .group = "Change",
          .summary = "Set specific features on objects",
          .children = {
              {.name = "env",
               .summary = "Update environment variables on a pod template",
               .usage = "TYPE/NAME KEY_1=VAL_1 ... KEY_N-",
               .examples =
                   "moth set env deploy/web LOG_LEVEL=debug OLD-\nmoth set env deploy/web --list",
               .flags = join_flags(
                   {set_flags(),
                    {containers,
                     {"env", 'e', FlagKind::kTexts, "", "KEY=VALUE."},
                     {"list", 0, FlagKind::kBool, "", "Print what is set."},
                     {"overwrite", 0, FlagKind::kBool, "true", "Taken for compatibility."}}}),
               .words = Words::kResourceNames,
               .run = run_set_env},
              {.name = "image",
               .summary = "Update the image of a pod template",
               .usage = "TYPE/NAME CONTAINER_NAME_1=IMAGE_1 ...",
               .examples =
                   "moth set image deploy/web web=nginx:1.29\nmoth set image deploy/web '*=web:2'",
               .flags = set_flags(),
               .words = Words::kResourceNames,
               .run = run_set_image},
              {.name = "resources",
               .summary = "Update requests and limits of a pod template",
               .usage = "TYPE/NAME [--limits=cpu=1,memory=1Gi] [--requests=...]",
               .flags = join_flags({set_flags(),
                                    {containers,
                                     {"limits", 0, FlagKind::kText, "", "cpu=1,memory=1Gi."},
                                     {"requests", 0, FlagKind::kText, "", "cpu=1,memory=1Gi."}}}),
               .words = Words::kResourceNames,
               .run = run_set_resources}}};
}

}  // namespace moth::ctl

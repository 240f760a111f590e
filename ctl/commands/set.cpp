#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands/all.h"
#include "ctl/commands/set_objects.h"

namespace moth::ctl {
namespace {

Outcome<int> run_set_image(Context& context, const Arguments& arguments) {
  auto [words, images] = split_changes(arguments.words);
  if (images.empty()) return refuse("at least one image update is required");
  return run_set(context, arguments, words, "image updated",
                 [&](const ObjectInfo&, Json& object) -> Outcome<> {
                   MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(object));
                   for (const std::string& word : images) {
                     auto equals = word.find('=');
                     std::string name = word.substr(0, equals), image = word.substr(equals + 1);
                     int found = each_container(
                         *spec, name, true, [&](Json& container) { container["image"] = image; });
                     if (found == 0)
                       return refuse(fmt::format("unable to find container named \"{}\"", name));
                   }
                   return {};
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
                   each_container(*spec, arguments.text("containers"), false, [&](Json& container) {
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
                   });
                   return {};
                 });
}

}  // namespace

Command set_command() {
  FlagSpec containers{"containers", 'c', FlagKind::kText, "*", "Only this container."};
  return {.name = "set",
          .group = "Change",
          .summary = "Set specific features on objects",
          .children = {
              set_env_command(),
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
               .run = run_set_resources},
              set_selector_command(),
              set_serviceaccount_command(),
              set_subject_command()}};
}

}  // namespace moth::ctl

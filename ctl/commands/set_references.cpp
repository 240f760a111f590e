// set selector, serviceaccount and subject.
#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands/rbac_flags.h"
#include "ctl/commands/set_objects.h"

namespace moth::ctl {
namespace {

// The last word is what is set.
Outcome<std::string> take_last(Context& context, std::vector<std::string>& words,
                               std::string_view what) {
  if (words.empty()) return context.usage_error(fmt::format("{} is required", what));
  std::string last = words.back();
  words.pop_back();
  return last;
}

Outcome<int> run_set_selector(Context& context, const Arguments& arguments) {
  std::vector<std::string> words = arguments.words;
  MOTH_ASSIGN(std::string text, take_last(context, words, "a selector"));
  auto selector = parse_pairs(text);
  if (!selector || selector->empty())
    return refuse(fmt::format("invalid selector \"{}\": KEY=VALUE pairs are expected", text));
  return run_set(context, arguments, words, "selector updated",
                 [&](const ObjectInfo& info, Json& object) -> Outcome<> {
                   if (info.resource->kind != "Service")
                     return refuse(
                         fmt::format("setting a selector is only supported for Services, "
                                     "not for a {}",
                                     info.resource->kind));
                   object["spec"]["selector"] = *selector;
                   if (!arguments.text("resource-version").empty())
                     object["metadata"]["resourceVersion"] = arguments.text("resource-version");
                   return {};
                 });
}

Outcome<int> run_set_serviceaccount(Context& context, const Arguments& arguments) {
  std::vector<std::string> words = arguments.words;
  MOTH_ASSIGN(std::string account, take_last(context, words, "serviceaccount"));
  return run_set(context, arguments, words, "serviceaccount updated",
                 [&](const ObjectInfo&, Json& object) -> Outcome<> {
                   MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(object));
                   (*spec)["serviceAccountName"] = account;
                   if (spec->contains("serviceAccount")) (*spec)["serviceAccount"] = account;
                   return {};
                 });
}

Outcome<int> run_set_subject(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Json added, subjects_of(arguments));
  if (added.empty())
    return refuse("you must specify at least one value of user, group or serviceaccount");
  return run_set(
      context, arguments, arguments.words, "subjects updated",
      [&](const ObjectInfo& info, Json& object) -> Outcome<> {
        if (!info.resource->kind.ends_with("RoleBinding"))
          return refuse("setting subjects is only supported for RoleBinding/ClusterRoleBinding");
        Json& subjects = object["subjects"];
        if (!subjects.is_array()) subjects = Json::array();
        for (const Json& subject : added) {
          if (std::find(subjects.begin(), subjects.end(), subject) == subjects.end())
            subjects.push_back(subject);
        }
        return {};
      });
}

}  // namespace

Command set_selector_command() {
  return {.name = "selector",
          .summary = "Set the selector on a resource",
          .usage = "(-f FILENAME | TYPE NAME) EXPRESSIONS",
          .examples = "moth set selector svc web app=web,tier=front",
          .flags = join_flags({set_flags(),
                               {{"resource-version", 0, FlagKind::kText, "",
                                 "Only when the object still has this version."}}}),
          .words = Words::kResourceNames,
          .run = run_set_selector};
}

Command set_serviceaccount_command() {
  return {.name = "serviceaccount",
          .aliases = {"sa"},
          .summary = "Update the service account of a resource",
          .usage = "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT",
          .examples = "moth set serviceaccount deploy web reader",
          .flags = set_flags(),
          .words = Words::kResourceNames,
          .run = run_set_serviceaccount};
}

Command set_subject_command() {
  return {.name = "subject",
          .summary = "Update the user, group, or service account in a role binding",
          .usage =
              "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] "
              "[--serviceaccount=namespace:name]",
          .examples = "moth set subject rolebinding readers --user=jane",
          .flags = join_flags({set_flags(), subject_flags()}),
          .words = Words::kResourceNames,
          .run = run_set_subject};
}

}  // namespace moth::ctl

#include <fmt/format.h>

#include <algorithm>

#include "api/machinery/jsonpath.h"
#include "ctl/commands/all.h"
#include "ctl/commands/wait_condition.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

bool condition_met(const WaitCondition& wanted, const Json& object) {
  std::int64_t generation = int_or(object["metadata"], "generation");
  const Json* status = find_member(object, "status");
  const Json* conditions = status ? find_member(*status, "conditions") : nullptr;
  if (!conditions || !conditions->is_array()) return false;
  for (const Json& entry : *conditions) {
    if (!same_word(string_or(entry, "type"), wanted.subject)) continue;
    // What was observed of an older generation says nothing about this one.
    std::int64_t observed = entry.contains("observedGeneration")
                                ? int_or(entry, "observedGeneration")
                                : int_or(*status, "observedGeneration", generation);
    return observed >= generation && same_word(string_or(entry, "status"), wanted.value);
  }
  return false;
}

Outcome<bool> path_met(const WaitCondition& wanted, const Json& object) {
  MOTH_ASSIGN(auto found, wanted.path->find(object));
  std::size_t count = 0;
  const Json* value = nullptr;
  for (const auto& list : found) {
    for (const Json& one : list) {
      ++count;
      value = &one;
    }
  }
  if (count == 0) return false;
  if (count > 1) return refuse("given jsonpath expression matches more than one value");
  if (wanted.any_value) return true;
  if (value->is_structured())
    return refuse("jsonpath leads to a nested object or list which is not supported");
  return jsonpath_value_text(*value) == wanted.value;
}

}  // namespace

Outcome<WaitCondition> parse_wait_condition(const std::string& text) {
  WaitCondition condition;
  if (text == "delete") {
    condition.kind = WaitCondition::Kind::kDelete;
    return condition;
  }
  if (text == "create") {
    condition.kind = WaitCondition::Kind::kCreate;
    return condition;
  }
  if (text.starts_with("condition=")) {
    condition.kind = WaitCondition::Kind::kCondition;
    condition.subject = text.substr(10);
    if (auto equals = condition.subject.find('='); equals != std::string::npos) {
      condition.value = condition.subject.substr(equals + 1);
      condition.subject.resize(equals);
    } else {
      condition.value = "true";
    }
    return condition;
  }
  if (text.starts_with("jsonpath=")) {
    condition.kind = WaitCondition::Kind::kJsonPath;
    std::string rest = text.substr(9);
    auto unquote = [](std::string& part) {
      if (part.size() >= 2 && (part[0] == '\'' || part[0] == '"') && part[0] == part.back())
        part = part.substr(1, part.size() - 2);
    };
    // The value stands behind the first `=` that is no part of the expression.
    std::size_t depth = 0, at = 0;
    for (; at < rest.size(); ++at) {
      if (rest[at] == '{' || rest[at] == '[' || rest[at] == '(') ++depth;
      if (rest[at] == '}' || rest[at] == ']' || rest[at] == ')') --depth;
      if (rest[at] == '=' && depth == 0) break;
    }
    std::string expression = rest.substr(0, at);
    unquote(expression);
    condition.any_value = at >= rest.size();
    if (!condition.any_value) {
      condition.value = rest.substr(at + 1);
      unquote(condition.value);
      if (condition.value.empty())
        return refuse("jsonpath wait has to have a value after equal sign");
    }
    MOTH_ASSIGN(condition.path, JsonPath::parse_relaxed(expression));
    condition.path->allow_missing_keys(true);
    return condition;
  }
  return refuse(fmt::format("unrecognized condition: \"{}\"", text));
}

Outcome<bool> wait_condition_met(const WaitCondition& condition, const Json* object) {
  switch (condition.kind) {
    case WaitCondition::Kind::kDelete:
      return object == nullptr;
    case WaitCondition::Kind::kCreate:
      return object != nullptr;
    case WaitCondition::Kind::kCondition:
      return object && condition_met(condition, *object);
    case WaitCondition::Kind::kJsonPath:
      break;
  }
  if (!object) return false;
  return path_met(condition, *object);
}

namespace {

Outcome<> wait_for_one(Api& api, const ObjectInfo& info, const WaitCondition& condition,
                       SteadyTime deadline, bool once) {
  bool was_there = !info.object.empty();
  MOTH_ASSIGN(StreamEnd end,
              api.follow_object(
                  *info.resource, info.ns, info.name,
                  [&](const Json* object) -> Outcome<bool> {
                    if (!object && was_there && condition.kind != WaitCondition::Kind::kDelete &&
                        condition.kind != WaitCondition::Kind::kCreate)
                      return refuse(fmt::format("{} \"{}\" was deleted while waiting",
                                                info.qualified(), info.name));
                    return wait_condition_met(condition, object);
                  },
                  deadline));
  if (end != StreamEnd::kTimedOut) return {};
  return refuse(fmt::format(
      "{} {}/{}", once ? "condition not met for" : "timed out waiting for the condition on",
      info.resource->plural, info.name));
}

Outcome<int> run_wait(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(WaitCondition condition, parse_wait_condition(arguments.text("for")));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments));
  SelectOptions options = select_options(arguments, arguments.words, true);
  bool may_be_absent = condition.kind == WaitCondition::Kind::kDelete ||
                       condition.kind == WaitCondition::Kind::kCreate;
  options.fetch = !may_be_absent;
  options.local = arguments.flag("local");
  auto timeout = arguments.duration("timeout");
  if (timeout.count() < 0) timeout = std::chrono::hours(24 * 7);
  SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  if (objects.empty() && context.exit_code() == 0 && !may_be_absent)
    return refuse("no matching resources found");
  if (options.local) {
    for (const ObjectInfo& info : objects) {
      MOTH_ASSIGN(bool met, wait_condition_met(condition, &info.object));
      if (!met)
        return refuse(fmt::format("condition not met for {}/{}", info.resource->plural, info.name));
      printer.print(info.object, "condition met");
    }
    return context.exit_code();
  }
  MOTH_ASSIGN(Api * api, context.api());
  for (ObjectInfo& info : objects) {
    // What was never there counts as deleted, in silence.
    if (condition.kind == WaitCondition::Kind::kDelete && info.object.empty()) {
      auto present = api->get(*info.resource, info.ns, info.name);
      if (!present && present.error().is(Reason::kNotFound)) continue;
      if (!present) return fail(present.error());
      info.object = *std::move(present);
    }
    auto met = wait_for_one(*api, info, condition, deadline, timeout.count() == 0);
    if (!met) {
      MOTH_TRY(context.carry_on(met.error()));
      continue;
    }
    if (info.object.empty()) {
      info.object = {{"kind", info.resource->kind},
                     {"apiVersion", info.resource->api_version()},
                     {"metadata", {{"name", info.name}}}};
    }
    printer.print(info.object, "condition met");
    context.flush();
  }
  return context.exit_code();
}

}  // namespace

Command wait_command() {
  return {
      .name = "wait",
      .group = "Look",
      .summary = "Wait for a specific condition on one or many resources",
      .usage = "(-f FILENAME | TYPE NAME) --for=condition=available|delete|create|jsonpath=...",
      .examples =
          "moth wait --for=condition=Ready pod/web-0\n"
          "moth wait --for=delete pod/web-0 --timeout=60s\n"
          "moth wait --for=jsonpath='{.status.phase}'=Running pod/web-0",
      .flags = join_flags({print_flags(),
                           filename_flags("Files that name the objects."),
                           selector_flags(),
                           {{"for", 0, FlagKind::kText, "",
                             "condition=NAME[=VALUE], delete, create, jsonpath='{EXPR}'[=VALUE]."},
                            {"local", 0, FlagKind::kBool, "", "Look at files; ask no server."},
                            {"timeout", 0, FlagKind::kDuration, "30s",
                             "How long to wait; 0: look once; negative: a week."}}}),
      .words = Words::kResourceNames,
      .run = run_wait};
}

}  // namespace moth::ctl

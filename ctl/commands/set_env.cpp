#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <iostream>
#include <map>

#include "api/schema/base64.h"
#include "ctl/commands/set_objects.h"

namespace moth::ctl {
namespace {

void set_variable(Json& container, const Json& variable) {
  Json& list = container["env"];
  if (!list.is_array()) list = Json::array();
  for (Json& entry : list) {
    if (entry["name"] != variable["name"]) continue;
    entry = variable;
    return;
  }
  list.push_back(variable);
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

// What --resolve looks up: each ConfigMap and Secret once.
class Sources {
 public:
  Sources(Context& context, std::string ns) : context_(context), ns_(std::move(ns)) {}

  Outcome<std::string> value(const Json& from) {
    if (const Json* ref = find_member(from, "configMapKeyRef")) return key_of("configmaps", *ref);
    if (const Json* ref = find_member(from, "secretKeyRef")) return key_of("secrets", *ref);
    return refuse(source_text(from) + " is known to the node only");
  }

 private:
  Outcome<std::string> key_of(const char* type, const Json& ref) {
    std::string name = string_or(ref, "name"), key = string_or(ref, "key");
    std::string id = std::string(type) + "/" + name;
    if (!known_.contains(id)) {
      MOTH_ASSIGN(Api * api, context_.api());
      MOTH_ASSIGN(const ApiResource* resource, api->resource(type));
      MOTH_ASSIGN(known_[id], api->get(*resource, ns_, name));
    }
    const Json* data = find_member(known_[id], "data");
    const Json* found = data ? find_member(*data, key) : nullptr;
    if (!found || !found->is_string())
      return refuse(fmt::format("key {} not found in {}", key, id));
    if (std::string_view(type) == "configmaps") return found->get<std::string>();
    auto bytes = schema::decode_base64(found->get<std::string>());
    return bytes ? *bytes : std::string();
  }

  Context& context_;
  std::string ns_;
  std::map<std::string, Json> known_;
};

Outcome<int> list_env(Context& context, const Arguments& arguments,
                      const std::vector<std::string>& words) {
  MOTH_ASSIGN(auto objects, set_targets(context, arguments, words));
  for (ObjectInfo& info : objects) {
    MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(info.object));
    Sources sources(context, info.ns);
    each_container(*spec, arguments.text("containers"), true, [&](Json& container) {
      context.print("# {} {}, container {}\n", info.resource->kind, info.name,
                    string_or(container, "name"));
      const Json* list = find_member(container, "env");
      for (const Json& entry : list ? *list : Json::array()) {
        std::string name = string_or(entry, "name");
        const Json* from = find_member(entry, "valueFrom");
        if (!from) {
          context.print("{}={}\n", name, string_or(entry, "value"));
          continue;
        }
        auto value =
            arguments.flag("resolve") ? sources.value(*from) : Outcome<std::string>(refuse(""));
        if (value)
          context.print("{}={}\n", name, *value);
        else
          context.print("# {} from {}\n", name, source_text(*from));
      }
    });
  }
  return context.exit_code();
}

// "log.level" to "LOG_LEVEL".
std::string variable_name(const std::string& key, const std::string& prefix) {
  std::string name = prefix;
  for (unsigned char c : key) name += std::isalnum(c) ? static_cast<char>(std::toupper(c)) : '_';
  return name;
}

// --from=configmap/NAME or secret/NAME: a variable for each key.
Outcome<Json> variables_from(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(WantedList wanted, parse_wanted(*api, {arguments.text("from")}));
  Json variables = Json::array();
  const auto& keys = arguments.texts("keys");
  for (const Wanted& item : wanted.items) {
    bool is_map = item.resource->kind == "ConfigMap", is_secret = item.resource->kind == "Secret";
    if ((!is_map && !is_secret) || item.name.empty())
      return refuse(
          fmt::format("unsupported resource specified in --from: {}: configmap/NAME or "
                      "secret/NAME is expected",
                      arguments.text("from")));
    MOTH_ASSIGN(Json source, api->get(*item.resource, ns, item.name));
    const Json data = source.value("data", Json::object());
    for (const auto& [key, value] : data.items()) {
      if (!keys.empty() && std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
      Json reference{{"key", key}, {"name", item.name}};
      variables.push_back(
          {{"name", variable_name(key, arguments.text("prefix"))},
           {"valueFrom", {{is_map ? "configMapKeyRef" : "secretKeyRef", std::move(reference)}}}});
    }
  }
  return variables;
}

struct EnvChanges {
  Json set = Json::array();
  std::vector<std::string> removed;
};

Outcome<> add_changes(const std::vector<std::string>& words, EnvChanges& changes) {
  for (const std::string& word : words) {
    auto equals = word.find('=');
    if (equals != std::string::npos && equals > 0)
      changes.set.push_back({{"name", word.substr(0, equals)}, {"value", word.substr(equals + 1)}});
    else if (word.size() > 1 && word.ends_with('-'))
      changes.removed.push_back(word.substr(0, word.size() - 1));
    else
      return refuse(fmt::format("unknown argument: {}", word));
  }
  return {};
}

// "-": KEY=VALUE lines of stdin.
std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    auto start = line.find_first_not_of(" \t");
    if (start != std::string::npos && line[start] != '#') lines.push_back(line.substr(start));
  }
  return lines;
}

Outcome<> check_overwriting(const Json& container, const EnvChanges& changes) {
  const Json* list = find_member(container, "env");
  for (const Json& entry : list ? *list : Json::array()) {
    for (const Json& variable : changes.set) {
      if (entry["name"] == variable["name"] && entry != variable)
        return refuse(fmt::format("'{}' already has a value ({}), and --overwrite is false",
                                  string_or(entry, "name"), string_or(entry, "value")));
    }
  }
  return {};
}

Outcome<int> run_set_env(Context& context, const Arguments& arguments) {
  auto [words, changing] = split_changes(arguments.words);
  EnvChanges changes;
  bool from_stdin = std::erase(words, "-") > 0 || std::erase(changing, "-") > 0;
  if (from_stdin)
    for (std::string& line : lines_of(context.in())) changing.push_back(std::move(line));
  if (arguments.flag("list")) return list_env(context, arguments, words);
  for (const std::string& change : arguments.texts("env")) changing.push_back(change);
  MOTH_TRY(add_changes(changing, changes));
  if (arguments.given("from")) {
    MOTH_ASSIGN(Json more, variables_from(context, arguments));
    for (Json& variable : more) changes.set.push_back(std::move(variable));
  }
  if (changes.set.empty() && changes.removed.empty())
    return refuse("at least one environment variable must be provided");
  return run_set(
      context, arguments, words, "env updated", [&](const ObjectInfo&, Json& object) -> Outcome<> {
        MOTH_ASSIGN(Json * spec, pod_spec_or_refuse(object));
        std::optional<Failure> refused;
        int found = each_container(*spec, arguments.text("containers"), true, [&](Json& container) {
          if (!arguments.flag("overwrite")) {
            if (auto free = check_overwriting(container, changes); !free) refused = free.error();
          }
          for (const Json& variable : changes.set) set_variable(container, variable);
          for (const std::string& name : changes.removed) drop_variable(container, name);
        });
        if (refused) return fail(*refused);
        if (found > 0) return {};
        return refuse(fmt::format("{} does not have any containers matching \"{}\"",
                                  string_or(object, "kind"), arguments.text("containers")));
      });
}

}  // namespace

Command set_env_command() {
  return {
      .name = "env",
      .summary = "Update environment variables on a pod template",
      .usage = "TYPE/NAME KEY_1=VAL_1 ... KEY_N-",
      .examples =
          "moth set env deploy/web LOG_LEVEL=debug OLD-\nmoth set env deploy/web --list\n"
          "moth set env deploy/web --from=configmap/settings --prefix=APP_",
      .flags = join_flags(
          {set_flags(),
           {{"containers", 'c', FlagKind::kText, "*", "Only containers with such a name."},
            {"env", 'e', FlagKind::kTexts, "", "KEY=VALUE."},
            {"from", 0, FlagKind::kText, "",
             "A variable for each key: configmap/NAME, secret/NAME."},
            {"keys", 0, FlagKind::kList, "", "With --from: only these keys."},
            {"list", 0, FlagKind::kBool, "", "Print what is set."},
            {"overwrite", 0, FlagKind::kBool, "true", "Replace values that are there."},
            {"prefix", 0, FlagKind::kText, "", "With --from: in front of each name."},
            {"resolve", 0, FlagKind::kBool, "", "With --list: show values behind references."}}}),
      .words = Words::kResourceNames,
      .run = run_set_env};
}

}  // namespace moth::ctl

#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/objects/last_applied.h"

namespace moth::ctl {
namespace {

struct TaintWord {
  std::string key, value, effect;  // the effect may be empty in a removal
};

struct TaintWords {
  std::vector<TaintWord> added, removed;
};

bool known_effect(std::string_view effect) {
  return effect == "NoSchedule" || effect == "PreferNoSchedule" || effect == "NoExecute";
}

// key=value:effect, key:effect; key[=value][:effect]- removes.
Outcome<> parse_taint(const Context& context, std::string word, TaintWords& into) {
  bool removal = word.ends_with('-');
  if (removal) word.pop_back();
  TaintWord taint;
  if (auto colon = word.rfind(':'); colon != std::string::npos) {
    taint.effect = word.substr(colon + 1);
    word.resize(colon);
  } else if (!removal) {
    return context.usage_error(
        fmt::format("invalid taint spec: {}: KEY[=VALUE]:EFFECT is expected", word));
  }
  if (!taint.effect.empty() && !known_effect(taint.effect))
    return context.usage_error(
        fmt::format("invalid taint effect: {}, unsupported taint effect", taint.effect));
  auto equals = word.find('=');
  taint.key = word.substr(0, equals);
  if (equals != std::string::npos) taint.value = word.substr(equals + 1);
  if (taint.key.empty()) return context.usage_error("invalid taint spec: the key is missing");
  (removal ? into.removed : into.added).push_back(std::move(taint));
  return {};
}

bool is_taint_word(const std::string& word) {
  return word.find('=') != std::string::npos || word.find(':') != std::string::npos ||
         (word.size() > 1 && word.ends_with('-'));
}

Json* find_taint(Json& taints, const TaintWord& taint) {
  for (Json& entry : taints)
    if (string_or(entry, "key") == taint.key && string_or(entry, "effect") == taint.effect)
      return &entry;
  return nullptr;
}

Json taint_json(const TaintWord& taint) {
  Json entry{{"key", taint.key}, {"effect", taint.effect}};
  if (!taint.value.empty()) entry["value"] = taint.value;
  return entry;
}

// The taints that a node is to have, and what was done, in kubectl's word for it.
Outcome<std::string> change_taints(const ObjectInfo& node, Json& object, const TaintWords& words,
                                   bool overwrite) {
  Json taints = object["spec"].value("taints", Json::array());
  for (const TaintWord& taint : words.added) {
    if (find_taint(taints, taint) && !overwrite)
      return refuse(
          fmt::format("node {} already has a taint(s) with same effect(s) and --overwrite is false",
                      node.name));
  }
  bool overwrote = false;
  for (const TaintWord& taint : words.added) {
    if (Json* present = find_taint(taints, taint)) {
      *present = taint_json(taint);
      overwrote = true;
    } else {
      taints.push_back(taint_json(taint));
    }
  }
  for (const TaintWord& taint : words.removed) {
    std::size_t before = taints.size();
    taints.erase(std::remove_if(taints.begin(), taints.end(),
                                [&](const Json& entry) {
                                  return string_or(entry, "key") == taint.key &&
                                         (taint.effect.empty() ||
                                          string_or(entry, "effect") == taint.effect);
                                }),
                 taints.end());
    if (taints.size() == before) {
      return refuse(fmt::format("taint \"{}{}\" not found", taint.key,
                                taint.effect.empty() ? "" : ":" + taint.effect));
    }
  }
  if (taints.empty())
    object["spec"].erase("taints");
  else
    object["spec"]["taints"] = std::move(taints);
  if (overwrote || (!words.added.empty() && !words.removed.empty())) return "modified";
  return words.added.empty() ? "untainted" : "tainted";
}

Outcome<int> run_taint(Context& context, const Arguments& arguments) {
  std::vector<std::string> objects_words;
  TaintWords taints;
  bool changing = false;
  for (const std::string& word : arguments.words) {
    changing = changing || (is_taint_word(word) && !objects_words.empty());
    if (changing) {
      MOTH_TRY(parse_taint(context, word, taints));
    } else {
      objects_words.push_back(word);
    }
  }
  if (objects_words.empty())
    return refuse("one or more resources must be specified as <resource> <name>");
  if (taints.added.empty() && taints.removed.empty())
    return refuse("at least one taint update is required");
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  // kubectl does not say here that it was a dry run, and scripts compare.
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments));
  SelectOptions options;
  options.words = objects_words;
  options.label_selector = arguments.text("selector");
  options.all = arguments.flag("all");
  MOTH_ASSIGN(auto nodes, select_objects(context, options));
  for (const ObjectInfo& node : nodes) {
    if (node.resource->kind != "Node")
      return refuse(fmt::format("invalid resource type {}, only node types are supported",
                                node.resource->plural));
    Json changed = node.object;
    MOTH_ASSIGN(std::string done,
                change_taints(node, changed, taints, arguments.flag("overwrite")));
    MOTH_ASSIGN(auto result, send_changes(context, node, changed,
                                          {manager_of(arguments, "kubectl-taint"), dry_run}));
    printer.print(result ? *result : node.object, done);
  }
  return context.exit_code();
}

}  // namespace

Command taint_command() {
  return {
      .name = "taint",
      .group = "Node",
      .summary = "Update the taints on one or more nodes",
      .usage = "NODE NAME KEY_1=VAL_1:TAINT_EFFECT_1 ... KEY_N:TAINT_EFFECT_N-",
      .examples = "moth taint node box dedicated=build:NoSchedule\nmoth taint node box dedicated-",
      .flags = join_flags({print_flags(),
                           {{"all", 0, FlagKind::kBool, "", "All nodes."},
                            dry_run_flag(),
                            field_manager_flag(),
                            {"overwrite", 0, FlagKind::kBool, "", "Replace taints that are there."},
                            {"selector", 'l', FlagKind::kText, "", "Nodes with these labels."},
                            validate_flag()}}),
      .words = Words::kResourceNames,
      .run = run_taint};
}

}  // namespace moth::ctl

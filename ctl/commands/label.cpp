// label and annotate: two words for the same work on two maps.
#include <fmt/format.h>

#include <map>
#include <set>

#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

struct MapWords {
  const char* member;   // of metadata
  const char* manager;  // fieldManager
  const char* one;      // "label"
  const char* changed;  // "labeled"
};

constexpr MapWords kLabels{"labels", "kubectl-label", "label", "labeled"};
constexpr MapWords kAnnotations{"annotations", "kubectl-annotate", "annotation", "annotated"};

struct Changes {
  std::map<std::string, std::string> set;
  std::vector<std::string> removed;
};

// The words that change something come last: k=v and k-.
Outcome<Changes> split_changes(std::vector<std::string>& words, const MapWords& map) {
  Changes changes;
  std::vector<std::string> resources;
  bool changing = false;
  for (const std::string& word : words) {
    auto equals = word.find('=');
    bool is_set = equals != std::string::npos && equals > 0;
    bool is_removal = !is_set && word.size() > 1 && word.ends_with('-');
    if (!is_set && !is_removal) {
      if (changing) {
        return refuse(
            fmt::format("all resources must be specified before {} changes: {}", map.one, word));
      }
      resources.push_back(word);
      continue;
    }
    changing = true;
    if (is_removal) {
      changes.removed.push_back(word.substr(0, word.size() - 1));
    } else if (!changes.set.emplace(word.substr(0, equals), word.substr(equals + 1)).second) {
      return refuse(
          fmt::format("can not set the {} \"{}\" twice", map.one, word.substr(0, equals)));
    }
  }
  for (const std::string& key : changes.removed) {
    if (changes.set.contains(key))
      return refuse(
          fmt::format("can not both modify and remove a {} in the same command", map.one));
  }
  words = std::move(resources);
  return changes;
}

Json map_of(const Json& object, const MapWords& map) {
  const Json* found = find_path(object, "metadata", map.member);
  return found && found->is_object() ? *found : Json::object();
}

void list_map(Context& context, const ObjectInfo& info, const MapWords& map, bool several) {
  if (several)
    context.print("Listing {}s for {}.{}/{}:\n", map.one, info.resource->kind, info.resource->group,
                  info.name);
  const Json present = map_of(info.object, map);
  for (const auto& [key, value] : present.items()) {
    context.print("{}{}={}\n", several ? " " : "", key,
                  value.is_string() ? value.get<std::string>() : value.dump());
  }
}

Outcome<> refuse_overwriting(const Json& present, const Changes& changes, const MapWords& map) {
  std::vector<std::string> taken;
  for (const auto& [key, value] : changes.set) {
    if (present.contains(key) && string_or(present, key) != value)
      taken.push_back(fmt::format("'{}' already has a value ({})", key, string_or(present, key)));
  }
  if (taken.empty()) return {};
  if (&map == &kAnnotations) {
    return refuse(
        fmt::format("--overwrite is false but found the following declared annotation(s): {}",
                    fmt::join(taken, "; ")));
  }
  return refuse(fmt::format("{}, and --overwrite is false", taken[0]));
}

struct MapJob {
  Context& context;
  const Arguments& arguments;
  Api* api;  // null with --local
  const MapWords& map;
  Changes changes;
  DryRun dry_run;
  ResultPrinter printer;
};

std::string verb_of(const MapJob& job, const Json& before, const Json& after) {
  if (&job.map == &kAnnotations) return job.map.changed;
  if (before == after) return "not labeled";
  bool shorter = after.dump().size() < before.dump().size();
  return !job.arguments.flag("overwrite") && shorter ? "unlabeled" : job.map.changed;
}

Outcome<> change_map(MapJob& job, const ObjectInfo& info) {
  Json before = map_of(info.object, job.map);
  if (!job.arguments.flag("overwrite")) MOTH_TRY(refuse_overwriting(before, job.changes, job.map));
  Json after = before;
  Json difference = Json::object();
  for (const auto& [key, value] : job.changes.set) {
    if (string_or(after, key) != value || !after.contains(key)) difference[key] = value;
    after[key] = value;
  }
  for (const std::string& key : job.changes.removed) {
    if (!after.contains(key)) {
      if (&job.map == &kLabels && job.printer.human())
        job.context.print("label \"{}\" not found.\n", key);
      continue;
    }
    difference[key] = nullptr;
    after.erase(key);
  }
  Json result = info.object;
  result["metadata"][job.map.member] = after;
  bool local = job.arguments.flag("local") || job.dry_run == DryRun::kClient;
  if (!local && !difference.empty()) {
    Json patch{{"metadata", {{job.map.member, std::move(difference)}}}};
    if (job.arguments.given("resource-version"))
      patch["metadata"]["resourceVersion"] = job.arguments.text("resource-version");
    QueryList query;
    if (job.dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
    query.emplace_back("fieldManager", manager_of(job.arguments, job.map.manager));
    MOTH_ASSIGN(result, job.api->patch(*info.resource, info.ns, info.name,
                                       client::PatchType::kMerge, patch, std::move(query)));
  }
  job.printer.print(result, verb_of(job, before, after));
  return {};
}

Outcome<int> run_map(Context& context, const Arguments& arguments, const MapWords& map) {
  std::vector<std::string> words = arguments.words;
  MOTH_ASSIGN(Changes changes, split_changes(words, map));
  bool listing = arguments.flag("list");
  if (changes.set.empty() && changes.removed.empty() && !listing)
    return refuse(fmt::format("at least one {} update is required", map.one));
  if (words.empty() && arguments.texts("filename").empty())
    return refuse(
        "one or more resources must be specified as <resource> <name> or "
        "<resource>/<name>");
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  SelectOptions options = select_options(arguments, std::move(words), true);
  options.local = arguments.flag("local");
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  Api* api = nullptr;
  if (!options.local) {
    MOTH_ASSIGN(api, context.api());
  }
  MapJob job{context, arguments, api, map, std::move(changes), dry_run, std::move(printer)};
  for (const ObjectInfo& info : objects) {
    if (listing) {
      list_map(context, info, map, objects.size() > 1);
      continue;
    }
    auto changed = change_map(job, info);
    if (!changed) MOTH_TRY(context.carry_on(changed.error()));
  }
  return context.exit_code();
}

Outcome<int> run_label(Context& context, const Arguments& arguments) {
  return run_map(context, arguments, kLabels);
}

Outcome<int> run_annotate(Context& context, const Arguments& arguments) {
  return run_map(context, arguments, kAnnotations);
}

std::vector<FlagSpec> map_flags() {
  return join_flags({print_flags(),
                     filename_flags("Files that name the objects."),
                     selector_flags(),
                     {dry_run_flag(),
                      field_manager_flag(),
                      local_flag(),
                      {"list", 0, FlagKind::kBool, "", "Print what is there."},
                      {"overwrite", 0, FlagKind::kBool, "", "Replace values that are there."},
                      {"resource-version", 0, FlagKind::kText, "",
                       "Only when the object still has this version."}}});
}

}  // namespace

Command label_command() {
  return {.name = "label",
          .group = "Change",
          .summary = "Update the labels on a resource",
          .usage = "(-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N-",
          .examples =
              "moth label pod web-0 tier=front\nmoth label --overwrite pod web-0 tier=back\n"
              "moth label pod web-0 tier-",
          .flags = map_flags(),
          .words = Words::kResourceNames,
          .run = run_label};
}

Command annotate_command() {
  return {
      .name = "annotate",
      .group = "Change",
      .summary = "Update the annotations on a resource",
      .usage = "(-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N-",
      .examples = "moth annotate deploy web note=\"for the demo\"\nmoth annotate deploy web note-",
      .flags = map_flags(),
      .words = Words::kResourceNames,
      .run = run_annotate};
}

}  // namespace moth::ctl

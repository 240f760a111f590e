#include "ctl/commands/auth_reconcile.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands/edit_objects.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Json list_at(const Json& object, const char* member) {
  Json list = object.value(member, Json::array());
  return list.is_array() ? list : Json::array();
}

bool holds(const Json& list, const Json& value) {
  return std::find(list.begin(), list.end(), value) != list.end() ||
         std::find(list.begin(), list.end(), Json("*")) != list.end();
}

bool holds_all(const Json& list, const Json& values) {
  return std::all_of(values.begin(), values.end(),
                     [&](const Json& value) { return holds(list, value); });
}

// One rule grants all that the other does.
bool covers(const Json& rule, const Json& wanted) {
  for (const char* member : {"apiGroups", "resources", "verbs", "nonResourceURLs"})
    if (!holds_all(list_at(rule, member), list_at(wanted, member))) return false;
  Json names = list_at(rule, "resourceNames"), wanted_names = list_at(wanted, "resourceNames");
  if (names.empty()) return true;
  return !wanted_names.empty() && holds_all(names, wanted_names);
}

bool granted(const Json& rules, const Json& rule) {
  return std::any_of(rules.begin(), rules.end(),
                     [&](const Json& present) { return covers(present, rule); });
}

struct ReconcileJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  DryRun dry_run;
  ResultPrinter printer;
};

// Labels and annotations of the file are added to those that are there.
void add_metadata(Json& object, const Json& wanted) {
  for (const char* member : {"labels", "annotations"}) {
    const Json* map = find_path(wanted, "metadata", member);
    if (map && map->is_object() && !map->empty()) {
      if (!object["metadata"].contains(member)) object["metadata"][member] = Json::object();
      object["metadata"][member].update(*map);
    }
  }
}

Outcome<> reconcile(ReconcileJob& job, const ObjectInfo& info) {
  bool is_role = info.resource->kind.ends_with("Role");
  auto live = job.api.get(*info.resource, info.ns, info.name);
  QueryList query;
  if (job.dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  if (!live && !live.error().is(Reason::kNotFound)) return fail(live.error());
  if (!live) {
    Json made = info.object;
    if (job.dry_run != DryRun::kClient) {
      MOTH_ASSIGN(made, job.api.create(*info.resource, info.ns, info.object, query));
    }
    job.printer.print(made, "reconciled");
    return {};
  }
  Json changed = *live;
  add_metadata(changed, info.object);
  if (is_role) {
    changed["rules"] = reconciled_rules(list_at(*live, "rules"), list_at(info.object, "rules"),
                                        job.arguments.flag("remove-extra-permissions"));
    if (info.object.contains("aggregationRule"))
      changed["aggregationRule"] = info.object["aggregationRule"];
  } else {
    if ((*live)["roleRef"] != info.object.value("roleRef", Json())) {
      return refuse(
          fmt::format("{} binds another role: delete it first, since the role of a "
                      "binding cannot be changed",
                      info.label()));
    }
    changed["subjects"] =
        reconciled_subjects(list_at(*live, "subjects"), list_at(info.object, "subjects"),
                            job.arguments.flag("remove-extra-subjects"));
  }
  if (changed != *live && job.dry_run != DryRun::kClient) {
    MOTH_ASSIGN(changed, job.api.replace(*info.resource, info.ns, info.name, changed, query));
  }
  job.printer.print(changed, "reconciled");
  return {};
}

Outcome<int> run_reconcile(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(auto objects, written_objects(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  ReconcileJob job{context, arguments, *api, dry_run, std::move(printer)};
  for (const ObjectInfo& info : objects) {
    // Other kinds in the files are somebody else's.
    if (info.resource->group != "rbac.authorization.k8s.io") continue;
    auto done = reconcile(job, info);
    if (!done) MOTH_TRY(context.carry_on(done.error()));
  }
  return context.exit_code();
}

}  // namespace

Json reconciled_rules(const Json& present, const Json& wanted, bool remove_extra) {
  if (remove_extra) {
    bool extra = std::any_of(present.begin(), present.end(),
                             [&](const Json& rule) { return !granted(wanted, rule); });
    if (extra) return wanted;
  }
  Json rules = present;
  for (const Json& rule : wanted)
    if (!granted(rules, rule)) rules.push_back(rule);
  return rules;
}

Json reconciled_subjects(const Json& present, const Json& wanted, bool remove_extra) {
  Json subjects = Json::array();
  for (const Json& subject : present) {
    if (!remove_extra || std::find(wanted.begin(), wanted.end(), subject) != wanted.end())
      subjects.push_back(subject);
  }
  for (const Json& subject : wanted)
    if (std::find(subjects.begin(), subjects.end(), subject) == subjects.end())
      subjects.push_back(subject);
  return subjects;
}

Command auth_reconcile_command() {
  return {.name = "reconcile",
          .summary = "Bring roles and bindings up to what files say, without taking away",
          .usage = "-f FILENAME",
          .examples = "moth auth reconcile -f roles.yaml",
          .flags = join_flags({print_flags(),
                               filename_flags("Files with roles and bindings."),
                               {dry_run_flag(),
                                {"remove-extra-permissions", 0, FlagKind::kBool, "",
                                 "Take away what roles grant beyond the files."},
                                {"remove-extra-subjects", 0, FlagKind::kBool, "",
                                 "Take away subjects that the files do not name."}}}),
          .words = Words::kFiles,
          .run = run_reconcile};
}

}  // namespace moth::ctl

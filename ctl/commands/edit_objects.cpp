#include "ctl/commands/edit_objects.h"

#include <fmt/format.h>

#include "api/machinery/patch_three_way.h"
#include "api/schema/patch_schema.h"

namespace moth::ctl {
namespace {

QueryList edit_query(const Edit& edit) {
  QueryList query;
  if (edit.dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  if (!edit.manager.empty()) query.emplace_back("fieldManager", edit.manager);
  if (!edit.validation.empty()) query.emplace_back("fieldValidation", edit.validation);
  return query;
}

Json* step(Json* from, const char* key) {
  if (!from || !from->is_object() || !from->contains(key)) return nullptr;
  return &(*from)[key];
}

}  // namespace

FlagSpec field_manager_flag() {
  return {"field-manager", 0, FlagKind::kText, "", "Name of the manager of the fields."};
}

std::string manager_of(const Arguments& arguments, std::string_view fallback) {
  return arguments.text("field-manager").empty() ? std::string(fallback)
                                                 : arguments.text("field-manager");
}

Outcome<std::optional<Json>> send_changes(Context& context, const ObjectInfo& info,
                                          const Json& changed, const Edit& edit) {
  schema::PatchSchemas schemas;
  const PatchSchema* schema = schemas.of(
      schema::find_type(info.resource->group, info.resource->version, info.resource->kind));
  Json patch;
  auto type = client::PatchType::kStrategic;
  if (schema) {
    MOTH_ASSIGN(patch, two_way_strategic_patch(info.object, changed, *schema));
  } else {
    type = client::PatchType::kMerge;
    MOTH_ASSIGN(patch, three_way_merge_patch(info.object, changed, info.object));
  }
  if (patch.empty()) return std::optional<Json>();
  if (edit.show_patch) edit.show_patch(patch);
  if (edit.dry_run == DryRun::kClient || edit.local) return std::optional<Json>(changed);
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(Json result, api->patch(*info.resource, info.ns, info.name, type, patch,
                                      edit_query(edit), edit.subresource));
  return std::optional<Json>(std::move(result));
}

Outcome<int> change_objects(Context& context, const Arguments& arguments,
                            const std::vector<ObjectInfo>& objects, const Edit& edit,
                            std::string_view done,
                            const std::function<Outcome<>(const ObjectInfo&, Json&)>& change) {
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, edit.dry_run));
  for (const ObjectInfo& info : objects) {
    Json changed = info.object;
    if (auto edited = change(info, changed); !edited) {
      context.report(edited.error());
      continue;
    }
    // Files that --local changed are printed whether or not something is different.
    auto result = edit.local ? Outcome<std::optional<Json>>(std::move(changed))
                             : send_changes(context, info, changed, edit);
    if (!result) {
      MOTH_TRY(context.carry_on(result.error()));
      continue;
    }
    if (*result)
      printer.print(**result, done);
    else if (!printer.human())
      printer.print(info.object, done);
  }
  return context.exit_code();
}

Json* pod_template_of(Json& object) {
  std::string kind = string_or(object, "kind");
  if (kind == "CronJob")
    return step(step(step(step(&object, "spec"), "jobTemplate"), "spec"), "template");
  return step(step(&object, "spec"), "template");
}

Json* pod_spec_of(Json& object) {
  if (string_or(object, "kind") == "Pod") return step(&object, "spec");
  return step(pod_template_of(object), "spec");
}

}  // namespace moth::ctl

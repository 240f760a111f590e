#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr const char* kNameLabel = "kubernetes.io/metadata.name";

void set_defaults(Json& object) {
  std::string name = name_cell(object);
  if (name.empty()) return;
  object_at(object_at(object, "metadata"), "labels")[kNameLabel] = name;
}

void prepare_create(Json& object) {
  set_defaults(object);
  object["status"] = {{"phase", "Active"}};
  Json& finalizers = object_at(object, "spec")["finalizers"];
  if (!finalizers.is_array()) finalizers = Json::array();
  if (std::find(finalizers.begin(), finalizers.end(), Json("kubernetes")) == finalizers.end()) {
    finalizers.push_back("kubernetes");
  }
}

// Finalizers change through /finalize only.
void prepare_update(Json& object, const Json& old) {
  if (const Json* spec = member(old, "spec")) {
    object["spec"] = *spec;
  } else {
    object.erase("spec");
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  std::size_t i = 0;
  for (const Json& finalizer : items(object_of(object, "spec"), "finalizers")) {
    FieldPath at = FieldPath("spec").child("finalizers").index(i++);
    if (finalizer.is_string()) {
      add_invalid(errors, at, finalizer,
                  check_qualified_name(finalizer.get_ref<const std::string&>()));
    }
  }
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  return Json::array({name_cell(object), string_or(object_of(object, "status"), "phase"),
                      age_cell(object, context)});
}

}  // namespace

ResourceDef namespaces() {
  ResourceDef row = row_of("", "v1", "namespaces", "namespace", "Namespace", "core.v1.Namespace");
  row.namespaced = false;
  row.short_names = {"ns"};
  row.verbs = kAllVerbs & ~kDeleteCollection;
  row.subresources = {{"finalize", row.gvk(), kUpdate}, own_subresource(row, "status")};
  // A namespace's phase decides whether writes are taken: it must survive a crash.
  row.status_durability = Durability::kDurable;
  row.set_defaults = set_defaults;
  row.prepare_create = prepare_create;
  row.prepare_update = prepare_update;
  row.validate = validate;
  row.validate_name = check_dns1123_label;
  row.selectable_fields = {"status.phase"};
  row.field = [](const Json& object, std::string_view) {
    return string_or(object_of(object, "status"), "phase");
  };
  row.columns = columns({column("Name", "Name of the namespace"),
                         column("Status", "Active, or Terminating while it is being deleted"),
                         column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources

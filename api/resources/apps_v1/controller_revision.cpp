#include "api/base/json.h"
#include "api/machinery/gvk.h"
#include "api/resources/apps_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  check_non_negative(errors, object, "revision", FieldPath());
  if (!has(object, "data")) {
    errors.push_back(FieldError::required(FieldPath("data"), "data is mandatory"));
  }
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_immutable(errors, object, old, "data", FieldPath());
  return errors;
}

// `statefulset.apps/web`
std::string controller_cell(const Json& object) {
  for (const Json& owner : items(object_of(object, "metadata"), "ownerReferences")) {
    if (!bool_or(owner, "controller")) continue;
    std::string kind = string_or(owner, "kind");
    for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    std::string group = parse_api_version(string_or(owner, "apiVersion")).group;
    return kind + (group.empty() ? "" : "." + group) + "/" + string_or(owner, "name");
  }
  return "<none>";
}

}  // namespace

ResourceDef controller_revisions() {
  ResourceDef row = row_of("apps", "v1", "controllerrevisions", "controllerrevision",
                           "ControllerRevision", "apps.v1.ControllerRevision");
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns = columns({column("Name", "Name of the revision, unique in its namespace"),
                         column("Controller", "What it is a revision of"),
                         column("Revision", "Number, rising with each change", "integer"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), controller_cell(object), int_or(object, "revision"),
                        age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void set_defaults(Json& object) {
  for (const char* part : {"spec", "status"}) {
    if (Json* json = member(object, part)) {
      round_resource_list(member(*json, "hard"));
      round_resource_list(member(*json, "used"));
    }
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  for (const auto& [name, quantity] : parse_resource_list(find_member(spec, "hard"))) {
    FieldPath at = FieldPath("spec").child("hard").key(name);
    add_invalid(errors, at, name, check_qualified_name(name));
    if (quantity.sign() < 0) {
      errors.push_back(FieldError::invalid(at, quantity.to_string(), kNonNegative));
    }
  }
  std::size_t i = 0;
  for (const std::string& scope : strings(spec, "scopes")) {
    FieldPath at = FieldPath("spec").child("scopes").index(i++);
    static const std::vector<std::string> kScopes = {"BestEffort",    "CrossNamespacePodAffinity",
                                                     "NotBestEffort", "NotTerminating",
                                                     "PriorityClass", "Terminating"};
    if (std::find(kScopes.begin(), kScopes.end(), scope) == kScopes.end()) {
      errors.push_back(FieldError::not_supported(at, scope, kScopes));
    }
  }
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_immutable(errors, object_of(object, "spec"), object_of(old, "spec"), "scopes",
                  FieldPath("spec"));
  return errors;
}

// `cpu: 1/2, pods: 3/10`, limits and requests apart.
Json cells(const Json& object, const RowContext& context) {
  const Json& status = object_of(object, "status");
  ResourceList used = parse_resource_list(find_member(status, "used"));
  std::vector<std::string> requests, limits;
  for (const auto& [name, hard] : parse_resource_list(find_member(status, "hard"))) {
    auto& list = name.starts_with("limits") ? limits : requests;
    list.push_back(
        fmt::format("{}: {}/{}", name, amount(used, name).to_string(), hard.to_string()));
  }
  return Json::array(
      {name_cell(object), join(requests, ", "), join(limits, ", "), age_cell(object, context)});
}

}  // namespace

ResourceDef resource_quotas() {
  ResourceDef row =
      row_of("", "v1", "resourcequotas", "resourcequota", "ResourceQuota", "core.v1.ResourceQuota");
  row.short_names = {"quota"};
  row.subresources = {own_subresource(row, "status")};
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns =
      columns({column("Name", "Name of the quota, unique in its namespace"),
               column("Request", "Requests and counts: used and allowed"),
               column("Limit", "Limits: used and allowed"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources

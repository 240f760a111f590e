// Kinds of the core group that are never stored.
#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {

// A pod's assignment to a node: what pods/binding takes, with the pod's name in the body.
ResourceDef bindings() {
  ResourceDef row = row_of("", "v1", "bindings", "binding", "Binding", "core.v1.Binding");
  row.verbs = kCreate;
  row.durability = Durability::kVirtual;
  return row;
}

ResourceDef component_statuses() {
  ResourceDef row = row_of("", "v1", "componentstatuses", "componentstatus", "ComponentStatus",
                           "core.v1.ComponentStatus");
  row.namespaced = false;
  row.short_names = {"cs"};
  row.verbs = kGet | kList;
  row.deprecation = "v1 ComponentStatus is deprecated in v1.19+";
  row.durability = Durability::kVirtual;
  row.columns = columns(
      {column("Name", "Name of the component"), column("Status", "Healthy, Unhealthy or Unknown"),
       column("Message", "What it says of itself"), column("Error", "Why it is not healthy")});
  row.row = [](const Json& object, const RowContext&) {
    std::string status = "Unknown", message, error;
    for (const Json& condition : items(object, "conditions")) {
      if (string_or(condition, "type") != "Healthy") continue;
      std::string healthy = string_or(condition, "status");
      status = healthy == "True" ? "Healthy" : healthy == "False" ? "Unhealthy" : "Unknown";
      message = string_or(condition, "message");
      error = string_or(condition, "error");
    }
    return Json::array({name_cell(object), status, message, error});
  };
  return row;
}

}  // namespace moth::resources

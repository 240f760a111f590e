#include "api/base/json.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/event_fields.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

// Events about cluster-scoped objects live in the namespace default.
FieldErrors validate(const Json& event) {
  FieldErrors errors;
  std::string ns = string_or(object_of(event, "metadata"), "namespace");
  std::string about = string_or(object_of(event, "involvedObject"), "namespace");
  bool agrees = about.empty() ? ns.empty() || ns == "default" || ns == "kube-system" : about == ns;
  if (!agrees) {
    errors.push_back(FieldError::invalid(FieldPath("involvedObject.namespace"), about,
                                         "does not match event.namespace"));
  }
  if (!has(event, "eventTime")) return errors;
  check_required(errors, event, "reportingComponent", FieldPath());
  check_name(errors, event, "reportingComponent", FieldPath(), check_qualified_name);
  check_required(errors, event, "reportingInstance", FieldPath());
  check_required(errors, event, "action", FieldPath());
  check_required(errors, event, "reason", FieldPath());
  check_supported(errors, event, "type", FieldPath(), {"Normal", "Warning"}, true);
  return errors;
}

}  // namespace

ResourceDef events() {
  ResourceDef row = row_of("", "v1", "events", "event", "Event", "core.v1.Event");
  row.short_names = {"ev"};
  row.durability = Durability::kLazy;
  row.allow_create_on_update = true;
  row.validate = validate;
  // Series of client-go change what was checked at the create.
  row.validate_update = [](const Json&, const Json&) { return FieldErrors(); };
  row.selectable_fields = {"involvedObject.kind",
                           "involvedObject.namespace",
                           "involvedObject.name",
                           "involvedObject.uid",
                           "involvedObject.apiVersion",
                           "involvedObject.resourceVersion",
                           "involvedObject.fieldPath",
                           "reason",
                           "reportingComponent",
                           "source",
                           "type"};
  row.field = event_field;
  row.columns = event_columns();
  row.row = event_row;
  return row;
}

}  // namespace moth::resources

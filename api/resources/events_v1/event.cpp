#include "api/base/json.h"
#include "api/resources/core_v1/event_fields.h"
#include "api/resources/events_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {

ResourceDef events_v1_events() {
  ResourceDef row = row_of("events.k8s.io", "v1", "events", "event", "Event", "events.v1.Event");
  row.short_names = {"ev"};
  row.durability = Durability::kLazy;
  row.allow_create_on_update = true;
  row.selectable_fields = {"regarding.kind",       "regarding.namespace",
                           "regarding.name",       "regarding.uid",
                           "regarding.apiVersion", "regarding.resourceVersion",
                           "regarding.fieldPath",  "reason",
                           "reportingController",  "type"};
  row.field = event_field;
  row.columns = event_columns();
  row.row = event_row;
  row.storage_group = "core";
  row.storage_version = "v1";
  row.to_storage = event_to_core;
  row.from_storage = event_from_core;
  return row;
}

}  // namespace moth::resources

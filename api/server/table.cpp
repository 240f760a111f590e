#include "api/server/table.h"

#include "api/machinery/time.h"

namespace moth::server {
namespace {

Json column(const std::string& name, const std::string& type, const std::string& format,
            const std::string& description, int priority) {
  return {{"name", name},
          {"type", type},
          {"format", format},
          {"description", description},
          {"priority", priority}};
}

Json default_cells(const Json& object) {
  const Json* metadata = find_member(object, "metadata");
  static const Json kNone = Json::object();
  if (!metadata) metadata = &kNone;
  return Json::array({string_or(*metadata, "name"), string_or(*metadata, "creationTimestamp")});
}

}  // namespace

Json table_columns(const resources::ResourceDef& def) {
  Json columns = Json::array();
  if (def.columns.empty()) {
    columns.push_back(
        column("Name", "string", "name", "Name of the object, unique in its namespace", 0));
    columns.push_back(column("Created At", "date", "", "When the object was created", 0));
    return columns;
  }
  for (const resources::Column& entry : def.columns) {
    columns.push_back(
        column(entry.name, entry.type, entry.format, entry.description, entry.priority));
  }
  return columns;
}

Json partial_metadata(const Json& object) {
  const Json* metadata = find_member(object, "metadata");
  return {{"kind", "PartialObjectMetadata"},
          {"apiVersion", "meta.k8s.io/v1"},
          {"metadata", metadata ? *metadata : Json::object()}};
}

Json table_row(const resources::ResourceDef& def, const Json& object, IncludeObject include,
               WallTime now) {
  Json row = {{"cells", def.row ? def.row(object, {now}) : default_cells(object)},
              {"conditions", def.row_conditions ? def.row_conditions(object) : Json::array()}};
  if (include == IncludeObject::kMetadata) row["object"] = partial_metadata(object);
  if (include == IncludeObject::kObject) row["object"] = object;
  return row;
}

Json table(Json columns, Json rows, Json metadata) {
  return {{"kind", "Table"},
          {"apiVersion", "meta.k8s.io/v1"},
          {"metadata", std::move(metadata)},
          {"columnDefinitions", std::move(columns)},
          {"rows", std::move(rows)}};
}

Json scale_table(const Json& scale, WallTime now) {
  Json columns = Json::array({column("Name", "string", "name", "Name of the scaled object", 0),
                              column("Desired", "integer", "", "Replicas asked for", 0),
                              column("Available", "integer", "", "Replicas there are", 0),
                              column("Age", "string", "", "Time since creation", 0)});
  const Json& metadata = scale.at("metadata");
  Json cells = Json::array({string_or(metadata, "name"), scale.at("spec").at("replicas"),
                            scale.at("status").at("replicas"),
                            human_age_since(string_or(metadata, "creationTimestamp"), now)});
  Json rows = Json::array({{{"cells", std::move(cells)}, {"object", partial_metadata(scale)}}});
  return table(std::move(columns), std::move(rows),
               {{"resourceVersion", string_or(metadata, "resourceVersion")}});
}

}  // namespace moth::server

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/autoscaling_v2/hpa_rules.h"
#include "api/resources/autoscaling_v2/rows.h"
#include "api/resources/cells.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::size_t kShown = 2;

struct SourceRow {
  const char* type;
  const char* member;
};
constexpr SourceRow kSources[] = {{"Resource", "resource"},
                                  {"ContainerResource", "containerResource"},
                                  {"Pods", "pods"},
                                  {"Object", "object"},
                                  {"External", "external"}};

std::string text_of(const Json& owner, std::string_view key, const char* fallback) {
  const Json* value = member(owner, key);
  if (!value) return fallback;
  if (value->is_string()) return value->get<std::string>();
  return value->is_number_integer() ? std::to_string(value->get<std::int64_t>()) : fallback;
}

std::string percent_of(const Json& owner, const char* fallback) {
  const Json* value = member(owner, "averageUtilization");
  return value && value->is_number_integer() ? fmt::format("{}%", value->get<std::int64_t>())
                                             : fallback;
}

// `cpu: 12%/80%`
std::string resource_text(const Json& source, const Json& current) {
  const Json& target = object_of(source, "target");
  std::string name = string_or(source, "name");
  if (has(target, "averageValue")) {
    return fmt::format("{}: {}/{}", name, text_of(current, "averageValue", "<unknown>"),
                       text_of(target, "averageValue", ""));
  }
  return fmt::format("{}: {}/{}", name, percent_of(current, "<unknown>"),
                     percent_of(target, "<auto>"));
}

std::string metric_text(const Json& metric, const Json& status) {
  std::string type = string_or(metric, "type");
  for (const SourceRow& row : kSources) {
    if (type != row.type) continue;
    const Json& source = object_of(metric, row.member);
    const Json& current = object_of(object_of(status, row.member), "current");
    if (type == "Resource" || type == "ContainerResource") return resource_text(source, current);
    const Json& target = object_of(source, "target");
    bool average = has(target, "averageValue");
    const char* key = average ? "averageValue" : "value";
    return fmt::format("{}/{}{}", text_of(current, key, "<unknown>"), text_of(target, key, ""),
                       average && type != "Pods" ? " (avg)" : "");
  }
  return "<unknown type>";
}

std::string targets_cell(const Json& object) {
  static const Json kNone = Json::object();
  std::vector<std::string> parts;
  const Json& current = items(object_of(object, "status"), "currentMetrics");
  for (const Json& metric : items(object_of(object, "spec"), "metrics")) {
    const Json& status = parts.size() < current.size() ? current[parts.size()] : kNone;
    parts.push_back(metric_text(metric, status));
  }
  return limited_list(parts, kShown, ", ", "<none>");
}

ResourceDef common_row(const char* version, const char* type_name) {
  ResourceDef row = row_of("autoscaling", version, "horizontalpodautoscalers",
                           "horizontalpodautoscaler", "HorizontalPodAutoscaler", type_name);
  row.short_names = {"hpa"};
  row.categories = {"all"};
  row.subresources = {own_subresource(row, "status")};
  row.has_generation = true;
  row.columns = hpa_columns();
  row.row = hpa_row;
  return row;
}

}  // namespace

std::vector<Column> hpa_columns() {
  return columns({column("Name", "Name of the autoscaler, unique in its namespace"),
                  column("Reference", "What is scaled"),
                  column("Targets", "Current and wanted values of the metrics"),
                  column("MinPods", "Fewest replicas"),
                  column("MaxPods", "Most replicas", "integer"),
                  column("Replicas", "Replicas at the last look", "integer"),
                  column("Age", "Time since creation")});
}

Json hpa_row(const Json& given, const RowContext& context) {
  const Json object =
      string_or(given, "apiVersion") == "autoscaling/v1" ? hpa_v1_to_v2(given) : given;
  const Json& spec = object_of(object, "spec");
  const Json& target = object_of(spec, "scaleTargetRef");
  return Json::array(
      {name_cell(object), string_or(target, "kind") + "/" + string_or(target, "name"),
       targets_cell(object), text_of(spec, "minReplicas", "<unset>"), int_or(spec, "maxReplicas"),
       int_or(object_of(object, "status"), "currentReplicas"), age_cell(object, context)});
}

ResourceDef horizontal_pod_autoscalers() {
  ResourceDef row = common_row("v2", "autoscaling.v2.HorizontalPodAutoscaler");
  row.set_defaults = set_hpa_defaults;
  row.prepare_create = [](Json& object) { object["status"] = {{"desiredReplicas", 0}}; };
  row.validate = validate_hpa;
  return row;
}

ResourceDef horizontal_pod_autoscalers_v1() {
  ResourceDef row = common_row("v1", "autoscaling.v1.HorizontalPodAutoscaler");
  row.set_defaults = [](Json& object) { default_to(object_at(object, "spec"), "minReplicas", 1); };
  row.storage_version = "v2";
  row.to_storage = hpa_v1_to_v2;
  row.from_storage = hpa_v2_to_v1;
  return row;
}

}  // namespace moth::resources

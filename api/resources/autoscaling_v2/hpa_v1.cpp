// autoscaling/v1 knows one metric, the utilisation of cpu. The others, the behavior, the conditions
// and the current metrics travel in annotations, in the names that v1 clients know.
#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/resources/autoscaling_v2/hpa_rules.h"
#include "api/resources/edit.h"
#include "api/schema/decode.h"

namespace moth::resources {
namespace {

constexpr const char* kMetrics = "autoscaling.alpha.kubernetes.io/metrics";
constexpr const char* kCurrentMetrics = "autoscaling.alpha.kubernetes.io/current-metrics";
constexpr const char* kConditions = "autoscaling.alpha.kubernetes.io/conditions";
constexpr const char* kBehavior = "autoscaling.alpha.kubernetes.io/behavior";

// The v1 name of a member of a metric's target (or current value) and its v2 name.
struct Field {
  const char* v1;
  const char* v2;
  const char* target_type;
};
constexpr Field kResourceTarget[] = {
    {"targetAverageUtilization", "averageUtilization", "Utilization"},
    {"targetAverageValue", "averageValue", "AverageValue"}};
constexpr Field kPodsTarget[] = {{"targetAverageValue", "averageValue", "AverageValue"}};
constexpr Field kObjectTarget[] = {{"targetValue", "value", "Value"},
                                   {"averageValue", "averageValue", "AverageValue"}};
constexpr Field kExternalTarget[] = {{"targetValue", "value", "Value"},
                                     {"targetAverageValue", "averageValue", "AverageValue"}};
constexpr Field kResourceNow[] = {{"currentAverageUtilization", "averageUtilization", ""},
                                  {"currentAverageValue", "averageValue", ""}};
constexpr Field kPodsNow[] = {{"currentAverageValue", "averageValue", ""}};
constexpr Field kObjectNow[] = {{"currentValue", "value", ""},
                                {"averageValue", "averageValue", ""}};
constexpr Field kExternalNow[] = {{"currentValue", "value", ""},
                                  {"currentAverageValue", "averageValue", ""}};

struct Fields {
  const Field* begin_;
  const Field* end_;
  const Field* begin() const { return begin_; }
  const Field* end() const { return end_; }
};
template <std::size_t N>
Fields fields(const Field (&list)[N]) {
  return {list, list + N};
}

Fields fields_of(std::string_view source, bool current) {
  if (source == "pods") return current ? fields(kPodsNow) : fields(kPodsTarget);
  if (source == "object") return current ? fields(kObjectNow) : fields(kObjectTarget);
  if (source == "external") return current ? fields(kExternalNow) : fields(kExternalTarget);
  return current ? fields(kResourceNow) : fields(kResourceTarget);
}

constexpr const char* kSources[] = {"resource", "containerResource", "pods", "object", "external"};

void copy(const Json& from, const char* from_key, Json& to, const char* to_key) {
  if (const Json* value = member(from, from_key)) to[to_key] = *value;
}

// One metric: {type, <source>: {...}}. `current`: of a status rather than of a spec.
Json metric_to_v2(const Json& metric, bool current) {
  Json out = {{"type", string_or(metric, "type")}};
  for (const char* key : kSources) {
    const Json* source = member(metric, key);
    if (!source) continue;
    Json& to = out[key] = Json::object();
    std::string_view name = key;
    if (name == "resource" || name == "containerResource") {
      copy(*source, "name", to, "name");
      copy(*source, "container", to, "container");
    } else {
      copy(*source, "metricName", to["metric"], "name");
      copy(*source, name == "external" ? "metricSelector" : "selector", to["metric"], "selector");
    }
    if (name == "object") copy(*source, "target", to, "describedObject");
    Json& values = to[current ? "current" : "target"] = Json::object();
    for (const Field& field : fields_of(name, current)) {
      const Json* value = member(*source, field.v1);
      if (!value) continue;
      values[field.v2] = *value;
      if (!current) values["type"] = field.target_type;
    }
  }
  return out;
}

Json metric_to_v1(const Json& metric, bool current) {
  Json out = {{"type", string_or(metric, "type")}};
  for (const char* key : kSources) {
    const Json* source = member(metric, key);
    if (!source) continue;
    Json& to = out[key] = Json::object();
    std::string_view name = key;
    if (name == "resource" || name == "containerResource") {
      copy(*source, "name", to, "name");
      copy(*source, "container", to, "container");
    } else {
      const Json& identifier = object_of(*source, "metric");
      copy(identifier, "name", to, "metricName");
      copy(identifier, "selector", to, name == "external" ? "metricSelector" : "selector");
    }
    if (name == "object") copy(*source, "describedObject", to, "target");
    const Json& values = object_of(*source, current ? "current" : "target");
    for (const Field& field : fields_of(name, current)) copy(values, field.v2, to, field.v1);
  }
  return out;
}

bool is_cpu_utilization(const Json& metric, std::string_view values) {
  const Json& resource = object_of(metric, "resource");
  return string_or(metric, "type") == "Resource" && string_or(resource, "name") == "cpu" &&
         has(object_of(resource, values), "averageUtilization");
}

// The parsed annotation, taken out of the object; null when it is absent or broken.
Json take_annotation(Json& object, const char* key) {
  Json* annotations = member(object["metadata"], "annotations");
  if (!annotations || !has(*annotations, key)) return nullptr;
  Json parsed = Json::parse(string_or(*annotations, key), nullptr, false);
  annotations->erase(key);
  if (annotations->empty()) object["metadata"].erase("annotations");
  return parsed.is_discarded() ? Json() : parsed;
}

// An annotation is a client's own text: what does not have the shape of its type is left out.
bool has_shape(Json& value, std::string_view type_name) {
  if (!value.is_object()) return false;
  return schema::decode(schema::find_type(type_name), value).has_value();
}

// The metrics of an annotation in their v2 form. `current`: of a status.
Json take_metrics(Json& object, const char* key, bool current) {
  Json out = Json::array();
  const char* type = current ? "autoscaling.v2.MetricStatus" : "autoscaling.v2.MetricSpec";
  for (const Json& metric : take_annotation(object, key)) {
    Json converted = metric_to_v2(metric, current);
    if (has_shape(converted, type)) out.push_back(std::move(converted));
  }
  return out;
}

void put_annotation(Json& object, const char* key, const Json& value) {
  if (value.is_null() || value.empty()) return;
  object_at(object_at(object, "metadata"), "annotations")[key] = dump_json(value);
}

Json cpu_metric(const Json& percent, const char* values) {
  Json numbers = {{"averageUtilization", percent}};
  if (std::string_view(values) == "target") numbers["type"] = "Utilization";
  return {{"type", "Resource"}, {"resource", {{"name", "cpu"}, {values, numbers}}}};
}

Json take(Json& object, const char* key) {
  Json* found = member(object, key);
  if (!found) return nullptr;
  Json value = std::move(*found);
  object.erase(key);
  return value;
}

}  // namespace

Json hpa_v1_to_v2(const Json& v1) {
  Json object = v1;
  object["apiVersion"] = "autoscaling/v2";
  if (!object["metadata"].is_object()) object["metadata"] = Json::object();
  Json& spec = object_at(object, "spec");
  Json metrics = take_metrics(object, kMetrics, false);
  if (Json percent = take(spec, "targetCPUUtilizationPercentage"); !percent.is_null()) {
    metrics.push_back(cpu_metric(percent, "target"));
  }
  if (!metrics.empty()) spec["metrics"] = std::move(metrics);
  Json behavior = take_annotation(object, kBehavior);
  if (has_shape(behavior, "autoscaling.v2.HorizontalPodAutoscalerBehavior")) {
    spec["behavior"] = std::move(behavior);
  }
  Json current = take_metrics(object, kCurrentMetrics, true);
  Json conditions = Json::array();
  for (Json condition : take_annotation(object, kConditions)) {
    if (has_shape(condition, "autoscaling.v2.HorizontalPodAutoscalerCondition")) {
      conditions.push_back(std::move(condition));
    }
  }
  Json* status = member(object, "status");
  if (!status) return object;
  if (Json percent = take(*status, "currentCPUUtilizationPercentage"); !percent.is_null()) {
    current.push_back(cpu_metric(percent, "current"));
  }
  if (!current.empty()) (*status)["currentMetrics"] = std::move(current);
  if (!conditions.empty()) (*status)["conditions"] = std::move(conditions);
  return object;
}

Json hpa_v2_to_v1(const Json& v2) {
  Json object = v2;
  object["apiVersion"] = "autoscaling/v1";
  Json& spec = object_at(object, "spec");
  Json others = Json::array();
  for (const Json& metric : take(spec, "metrics")) {
    if (is_cpu_utilization(metric, "target") && !has(spec, "targetCPUUtilizationPercentage")) {
      spec["targetCPUUtilizationPercentage"] = metric["resource"]["target"]["averageUtilization"];
    } else {
      others.push_back(metric_to_v1(metric, false));
    }
  }
  put_annotation(object, kMetrics, others);
  put_annotation(object, kBehavior, take(spec, "behavior"));
  Json* status = member(object, "status");
  if (!status) return object;
  Json current = Json::array();
  for (const Json& metric : take(*status, "currentMetrics")) {
    if (is_cpu_utilization(metric, "current")) {
      (*status)["currentCPUUtilizationPercentage"] =
          metric["resource"]["current"]["averageUtilization"];
    }
    current.push_back(metric_to_v1(metric, true));
  }
  Json conditions = take(*status, "conditions");
  put_annotation(object, kCurrentMetrics, current);
  put_annotation(object, kConditions, conditions);
  return object;
}

}  // namespace moth::resources

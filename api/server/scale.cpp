#include "api/server/scale.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/selectors.h"

namespace moth::server {
namespace {

const Json* at_pointer(const Json& object, const std::string& pointer) {
  if (pointer.empty()) return nullptr;
  Json::json_pointer where(pointer);
  return object.contains(where) ? &object.at(where) : nullptr;
}

std::int64_t int_at(const Json& object, const std::string& pointer) {
  const Json* value = at_pointer(object, pointer);
  return value && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

std::string selector_text(const Json& selector) {
  // A plain map of labels, or a LabelSelector.
  if (selector.contains("matchLabels") || selector.contains("matchExpressions")) {
    auto parsed = LabelSelector::from_json(selector);
    return parsed ? parsed->to_string() : "";
  }
  Labels labels;
  for (const auto& [key, value] : selector.items()) {
    if (value.is_string()) labels.emplace(key, value.get<std::string>());
  }
  return LabelSelector::from_map(labels).to_string();
}

}  // namespace

Result<Json> read_scale(const resources::ResourceDef& def, const Json& object) {
  if (def.scale_spec_replicas.empty()) {
    return fail(Error::of(Reason::kNotFound, "the server could not find the requested resource"));
  }
  if (def.custom && !at_pointer(object, def.scale_spec_replicas)) {
    std::string path = def.scale_spec_replicas;
    std::replace(path.begin(), path.end(), '/', '.');
    return fail(
        Error::internal(fmt::format("the spec replicas field \"{}\" does not exist", path)));
  }
  Json metadata = Json::object();
  for (const char* field : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
    if (const Json* value = find_path(object, "metadata", field)) metadata[field] = *value;
  }
  Json scale = {{"kind", "Scale"},
                {"apiVersion", "autoscaling/v1"},
                {"metadata", std::move(metadata)},
                {"spec", {{"replicas", int_at(object, def.scale_spec_replicas)}}},
                {"status", {{"replicas", int_at(object, def.scale_status_replicas)}}}};
  if (const Json* selector = at_pointer(object, def.scale_selector);
      selector && selector->is_object()) {
    scale["status"]["selector"] = selector_text(*selector);
  } else if (selector && selector->is_string()) {
    scale["status"]["selector"] = *selector;
  }
  return scale;
}

Task<Result<WriteResult>> write_scale(Pipeline& pipeline, Target target, Json scale,
                                      RequestContext& context) {
  const resources::ResourceDef& def = *target.def;
  const Json* replicas = find_path(scale, "spec", "replicas");
  std::int64_t wanted =
      replicas && replicas->is_number_integer() ? replicas->get<std::int64_t>() : 0;
  if (wanted < 0) {
    co_return fail(
        to_invalid_error("autoscaling", "Scale", target.name,
                         {FieldError::invalid(FieldPath("spec").child("replicas"), wanted,
                                              "must be greater than or equal to 0")}));
  }
  Json patch = Json::object();
  patch[Json::json_pointer(def.scale_spec_replicas)] = wanted;
  const Json* version = find_path(scale, "metadata", "resourceVersion");
  if (version && version->is_string() && !version->get_ref<const std::string&>().empty()) {
    patch["metadata"]["resourceVersion"] = *version;
  }
  Target parent = target;
  parent.subresource.clear();
  context.on_behalf_of = "scale";
  auto written =
      co_await pipeline.patch(parent, client::PatchType::kMerge, std::move(patch), context);
  if (!written) co_return fail(written.error());
  MOTH_CO_ASSIGN(Json answer, read_scale(def, written->object->parse()));
  co_return WriteResult{Object::from_json(answer), false};
}

}  // namespace moth::server

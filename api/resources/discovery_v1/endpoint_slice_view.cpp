#include "api/resources/discovery_v1/endpoint_slice_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

SliceEndpoint parse_endpoint(const Json& json) {
  SliceEndpoint out;
  out.addresses = strings(json, "addresses");
  const Json& conditions = object_of(json, "conditions");
  out.ready = bool_or(conditions, "ready", true);
  out.serving = bool_or(conditions, "serving", out.ready);
  out.terminating = bool_or(conditions, "terminating");
  out.hostname = string_or(json, "hostname");
  out.node_name = string_or(json, "nodeName");
  out.zone = string_or(json, "zone");
  const Json& target = object_of(json, "targetRef");
  out.target_kind = string_or(target, "kind");
  out.target_ns = string_or(target, "namespace");
  out.target_name = string_or(target, "name");
  out.target_uid = string_or(target, "uid");
  return out;
}

const std::string& label(const Meta& meta, std::string_view key) {
  static const std::string kNone;
  auto it = meta.labels.find(key);
  return it == meta.labels.end() ? kNone : it->second;
}

}  // namespace

EndpointSliceView::EndpointSliceView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  address_type = string_or(*dom, "addressType");
  for (const Json& json : items(*dom, "ports")) {
    ports.push_back({string_or(json, "name"), string_or(json, "appProtocol"),
                     parse_protocol(string_or(json, "protocol", "TCP")),
                     port_or_zero(json, "port")});
  }
  for (const Json& json : items(*dom, "endpoints")) endpoints.push_back(parse_endpoint(json));
}

const std::string& EndpointSliceView::service_name() const {
  return label(*meta_, "kubernetes.io/service-name");
}

const std::string& EndpointSliceView::managed_by() const {
  return label(*meta_, "endpointslice.kubernetes.io/managed-by");
}

}  // namespace moth::resources

#include "api/resources/core_v1/resource_quota_view.h"

#include "api/base/json.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

SelectorOperator operator_of(std::string_view text) {
  if (text == "In") return SelectorOperator::kIn;
  if (text == "NotIn") return SelectorOperator::kNotIn;
  if (text == "DoesNotExist") return SelectorOperator::kDoesNotExist;
  return SelectorOperator::kExists;
}

}  // namespace

ResourceQuotaView::ResourceQuotaView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  hard = parse_resource_list(find_member(spec, "hard"));
  for (std::string& name : strings(spec, "scopes")) scopes.push_back({std::move(name)});
  for (const Json& json : items(object_of(spec, "scopeSelector"), "matchExpressions")) {
    scopes.push_back({string_or(json, "scopeName"), operator_of(string_or(json, "operator")),
                      strings(json, "values")});
  }
  const Json& status = object_of(*dom, "status");
  status_hard = parse_resource_list(find_member(status, "hard"));
  used = parse_resource_list(find_member(status, "used"));
}

}  // namespace moth::resources

#include "api/resources/core_v1/limit_range_view.h"

#include "api/base/json.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

LimitItem::Type type_of(std::string_view text) {
  if (text == "Container") return LimitItem::Type::kContainer;
  if (text == "Pod") return LimitItem::Type::kPod;
  if (text == "PersistentVolumeClaim") return LimitItem::Type::kClaim;
  return LimitItem::Type::kOther;
}

}  // namespace

LimitRangeView::LimitRangeView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  for (const Json& json : items(object_of(*dom, "spec"), "limits")) {
    LimitItem& item = limits.emplace_back();
    item.type = type_of(string_or(json, "type"));
    item.min = parse_resource_list(find_member(json, "min"));
    item.max = parse_resource_list(find_member(json, "max"));
    item.default_limit = parse_resource_list(find_member(json, "default"));
    item.default_request = parse_resource_list(find_member(json, "defaultRequest"));
    item.max_ratio = parse_resource_list(find_member(json, "maxLimitRequestRatio"));
  }
}

}  // namespace moth::resources

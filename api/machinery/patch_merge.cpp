#include "api/machinery/patch_merge.h"

#include "api/base/json.h"

namespace moth {
namespace {

Json without_nulls(const Json& value) {
  if (!value.is_object()) return value;
  Json out = Json::object();
  for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
    if (!member.is_null()) out[name] = without_nulls(member);
  }
  return out;
}

void merge_into(Json& target, const Json& patch) {
  if (!patch.is_object()) {
    target = patch;
    return;
  }
  if (!target.is_object()) target = Json::object();
  for (const auto& [name, member] : patch.get_ref<const Json::object_t&>()) {
    if (member.is_null()) {
      target.erase(name);
    } else {
      merge_into(target[name], member);
    }
  }
}

}  // namespace

Json apply_merge_patch(Json document, const Json& patch) {
  merge_into(document, patch);
  return document;
}

Json create_merge_patch(const Json& original, const Json& modified) {
  if (!original.is_object() || !modified.is_object()) return without_nulls(modified);
  Json patch = Json::object();
  for (const auto& [name, value] : original.get_ref<const Json::object_t&>()) {
    const Json* wanted = find_member(modified, name);
    if ((!wanted || wanted->is_null()) && !value.is_null()) patch[name] = nullptr;
  }
  for (const auto& [name, wanted] : modified.get_ref<const Json::object_t&>()) {
    if (wanted.is_null()) continue;
    const Json* value = find_member(original, name);
    if (!value) {
      patch[name] = without_nulls(wanted);
    } else if (value->is_object() && wanted.is_object()) {
      Json inner = create_merge_patch(*value, wanted);
      if (!inner.empty()) patch[name] = std::move(inner);
    } else if (*value != wanted) {
      patch[name] = without_nulls(wanted);
    }
  }
  return patch;
}

}  // namespace moth

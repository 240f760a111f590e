#include "daemon/controllers/framework/ownership.h"

#include "api/base/json.h"

namespace moth::controllers {

Json controller_reference(const Object& owner) {
  return {{"apiVersion", owner.api_version()},
          {"kind", owner.kind()},
          {"name", owner.name()},
          {"uid", owner.uid()},
          {"controller", true},
          {"blockOwnerDeletion", true}};
}

Claim classify(const Meta& owner, const LabelSelector& selector, const Meta& dependent) {
  bool matches = selector.matches(dependent.labels);
  if (const OwnerReference* controller = dependent.controller()) {
    if (controller->uid != owner.uid) return Claim::kForeign;
    if (matches) return Claim::kOwned;
    return owner.deletion_time ? Claim::kForeign : Claim::kRelease;
  }
  bool adoptable =
      matches && !owner.deletion_time && !dependent.deletion_time && owner.ns == dependent.ns;
  return adoptable ? Claim::kAdopt : Claim::kForeign;
}

// The uid makes sure that the patch meets the object that was looked at.
Json adoption_patch(const Object& owner, const Object& dependent) {
  return {{"metadata",
           {{"uid", dependent.uid()},
            {"ownerReferences", Json::array({controller_reference(owner)})}}}};
}

Json release_patch(const Object& owner, const Object& dependent) {
  return {{"metadata",
           {{"uid", dependent.uid()},
            {"ownerReferences", Json::array({{{"$patch", "delete"}, {"uid", owner.uid()}}})}}}};
}

Task<Result<std::vector<ObjectPtr>>> claim(const client::ObjectReader& reader,
                                           client::ObjectClient& client, Gvr owner_gvr,
                                           ObjectPtr owner, LabelSelector selector, Gvr gvr,
                                           std::vector<ObjectPtr> candidates) {
  std::vector<ObjectPtr> owned;
  for (ObjectPtr& object : candidates) {
    Claim verdict = classify(owner->meta(), selector, object->meta());
    if (verdict == Claim::kOwned) owned.push_back(object);
    if (verdict != Claim::kAdopt && verdict != Claim::kRelease) continue;
    if (verdict == Claim::kAdopt) {
      ObjectPtr now = reader.get(owner_gvr, owner->ns(), owner->name());
      if (!now || now->uid() != owner->uid() || now->meta().deletion_time) continue;
    }
    Json patch =
        verdict == Claim::kAdopt ? adoption_patch(*owner, *object) : release_patch(*owner, *object);
    client::WriteOptions options;
    options.field_manager = kFieldManager;
    auto written = co_await client.patch(gvr, object->ns(), object->name(),
                                         client::PatchType::kStrategic, std::move(patch), options);
    if (!written && written.error().reason == Reason::kNotFound) continue;
    // Somebody else took it or let it go: the change brings the key back.
    if (!written && verdict == Claim::kRelease && written.error().reason == Reason::kInvalid) {
      continue;
    }
    if (!written) co_return fail(written.error());
    if (verdict == Claim::kAdopt) owned.push_back(*written);
  }
  co_return owned;
}

}  // namespace moth::controllers

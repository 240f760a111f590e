#pragma once
// Which dependents a controller owns (k8s-behaviours 13.1): by controller reference and selector. A
// matching orphan is adopted, an owned object that matches no longer is released. Control thread.
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/client/object_client.h"
#include "api/machinery/gvk.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"

namespace moth::controllers {

inline constexpr const char* kFieldManager = "kube-controller-manager";

// {apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true}
Json controller_reference(const Object& owner);

enum class Claim { kForeign, kOwned, kAdopt, kRelease };
Claim classify(const Meta& owner, const LabelSelector& selector, const Meta& dependent);

// What changes metadata.ownerReferences so; strategic merge patches.
Json adoption_patch(const Object& owner, const Object& dependent);
Json release_patch(const Object& owner, const Object& dependent);

// Of `candidates` (all of `gvr` in the owner's namespace) those that `owner` owns after adopting
// and releasing what is due. Dependents that vanished meanwhile are left out. An owner that was
// replaced by another of its name adopts nothing.
Task<Result<std::vector<ObjectPtr>>> claim(const client::ObjectReader& reader,
                                           client::ObjectClient& client, Gvr owner_gvr,
                                           ObjectPtr owner, LabelSelector selector, Gvr gvr,
                                           std::vector<ObjectPtr> candidates);

}  // namespace moth::controllers

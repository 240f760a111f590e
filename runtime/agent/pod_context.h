#pragma once
// PodContext: what the parts of the node share about one pod. Owned by its worker; control thread.
#include <string>

#include "api/machinery/object.h"
#include "api/resources/core_v1/pod_view.h"
#include "runtime/cgroups/limits.h"

namespace moth::agent {

struct PodContext {
  std::string ns, name, uid;
  // The newest version of the object. Never null: the last known one after it is gone.
  ObjectPtr object;
  std::string node_name, host_ip;
  std::string pod_ip;       // of the pod, or the host's with hostNetwork; empty before that
  std::string netns_path;   // empty: the host's network
  std::string cgroup_path;  // /moth-INSTANCE/burstable/podUID
  std::string ipc_namespace, uts_namespace, pid_namespace;  // paths to join; empty: a new one each

  const resources::PodView& view() const { return object->view<resources::PodView>(); }
  std::string key() const { return ns + "/" + name; }
};

inline cgroups::Qos cgroup_qos(resources::QosClass qos) {
  switch (qos) {
    case resources::QosClass::kGuaranteed:
      return cgroups::Qos::kGuaranteed;
    case resources::QosClass::kBurstable:
      return cgroups::Qos::kBurstable;
    case resources::QosClass::kBestEffort:
      break;
  }
  return cgroups::Qos::kBestEffort;
}

}  // namespace moth::agent

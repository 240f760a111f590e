#pragma once
// Paths: where the node keeps what on disk. The only place that builds such a path.
//
//   DATA_DIR/
//     boot_id                     of the boot in which the daemon last ran: reboot or restart?
//     pods/UID/                   one folder a pod, gone with it
//       pod.json                  checkpoint of the worker (written before it acts)
//       etc/{hosts,hostname,resolv.conf}
//       volumes/NAME/             what a volume holds, or its mount point
//       subpaths/CONTAINER/ATTEMPT/N   bind mounts of subPaths
//       containers/NAME/ATTEMPT/  bundle of one run: config.json, the shim's records,
//       termination-log
//     logs/NS_POD_UID/NAME/ATTEMPT.log   CRI log (and .1, .2 ...)
//     snapshots/                  root file systems (runtime/images)
//   RUN_DIR/                      on tmpfs, gone with a reboot
//     netns/UID                   the pod's network namespace
//     ns/UID/{ipc,uts}            its other shared namespaces
//     pause/UID                   record of its process namespace's init
//     runc/                       state of the OCI runtime
#include <string>
#include <string_view>
#include <utility>

namespace moth::agent {

class Paths {
 public:
  Paths(std::string data_dir, std::string run_dir)
      : data_(std::move(data_dir)), run_(std::move(run_dir)) {}

  const std::string& data_dir() const { return data_; }
  const std::string& run_dir() const { return run_; }
  std::string boot_id() const { return data_ + "/boot_id"; }
  std::string pods() const { return data_ + "/pods"; }
  std::string pod(std::string_view uid) const { return join(pods(), uid); }
  std::string checkpoint(std::string_view uid) const { return pod(uid) + "/pod.json"; }
  std::string etc(std::string_view uid) const { return pod(uid) + "/etc"; }
  std::string volumes(std::string_view uid) const { return pod(uid) + "/volumes"; }
  std::string volume(std::string_view uid, std::string_view name) const {
    return join(volumes(uid), name);
  }
  std::string subpaths(std::string_view uid) const { return pod(uid) + "/subpaths"; }
  std::string container(std::string_view uid, std::string_view name) const {
    return join(pod(uid) + "/containers", name);
  }
  std::string bundle(std::string_view uid, std::string_view name, int attempt) const {
    return container(uid, name) + "/" + std::to_string(attempt);
  }
  std::string termination_log(std::string_view uid, std::string_view name, int attempt) const {
    return bundle(uid, name, attempt) + "/termination-log";
  }
  std::string logs() const { return data_ + "/logs"; }
  std::string pod_logs(std::string_view ns, std::string_view pod_name, std::string_view uid) const {
    return logs() + "/" + std::string(ns) + "_" + std::string(pod_name) + "_" + std::string(uid);
  }
  std::string log(std::string_view ns, std::string_view pod_name, std::string_view uid,
                  std::string_view container, int attempt) const {
    return join(pod_logs(ns, pod_name, uid), container) + "/" + std::to_string(attempt) + ".log";
  }
  std::string namespaces(std::string_view uid) const { return join(run_ + "/ns", uid); }
  std::string pause(std::string_view uid) const { return join(run_ + "/pause", uid); }
  std::string runtime_root() const { return run_ + "/runc"; }

 private:
  static std::string join(std::string folder, std::string_view name) {
    folder += '/';
    folder += name;
    return folder;
  }
  std::string data_, run_;
};

// The OCI runtime's name of one run of a container: unique on the instance.
inline std::string container_id(std::string_view pod_uid, std::string_view name, int attempt) {
  return std::string(pod_uid) + "_" + std::string(name) + "_" + std::to_string(attempt);
}

}  // namespace moth::agent

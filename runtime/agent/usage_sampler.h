#pragma once
// UsageSampler: cpu and memory of every running container and of the node, from cgroup files, every
// 10 to 15 seconds. Reads run on the blocking executor; everything else on control.
#include <map>
#include <memory>
#include <string>

#include "api/base/executors.h"
#include "api/base/task_scope.h"
#include "api/client/node_api.h"
#include "runtime/agent/pod_manager.h"
#include "runtime/cgroups/manager.h"

namespace moth::agent {

class UsageSampler {
 public:
  UsageSampler(Executors& executors, Clock& clock, cgroups::Manager& groups, PodManager& pods,
               std::string node_name);
  ~UsageSampler();
  void start();
  Task<void> stop();
  std::vector<client::PodUsage> pods() const;
  std::optional<client::NodeUsage> node() const { return node_; }

 private:
  struct Series;
  struct Reading;
  Task<void> run();
  Task<void> sample();

  Executors& executors_;
  Clock& clock_;
  cgroups::Manager& groups_;
  PodManager& manager_;
  std::string node_name_;
  std::map<std::string, std::shared_ptr<Series>> series_;  // by container id
  std::optional<client::NodeUsage> node_;
  std::uint64_t node_busy_ns_ = 0;
  MonoTime node_at_{};
  TaskScope scope_;
};

}  // namespace moth::agent

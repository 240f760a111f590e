#pragma once
// NodeAgent: the NodeApi of this machine, over the pod manager, the image service and the sampler.
// Control thread; the streams it gives are used on io.
#include <memory>
#include <string>

#include "api/base/executors.h"
#include "api/client/node_api.h"
#include "runtime/agent/pod_manager.h"
#include "runtime/agent/usage_sampler.h"
#include "runtime/images/service.h"
#include "runtime/os/inotify.h"

namespace moth::agent {

class NodeAgent final : public client::NodeApi {
 public:
  // All outlive the agent. `watcher` lives on io.
  NodeAgent(Executors& executors, Paths paths, PodManager& pods, images::ImageService& images,
            UsageSampler& usage, os::FileWatcher& watcher);

  Task<Result<std::unique_ptr<client::LogReader>>> logs(ObjectPtr pod,
                                                        client::LogOptions options) override;
  Task<Result<std::unique_ptr<client::ExecSession>>> exec(ObjectPtr pod,
                                                          client::ExecOptions options) override;
  Task<Result<http::RawStream>> connect(ObjectPtr pod, int port) override;
  std::vector<client::PodUsage> pod_usage() override;
  std::optional<client::NodeUsage> node_usage() override;
  Task<Result<Json>> image_list() override;
  Task<Result<Json>> image_load(std::string archive_path, client::ProgressSink progress) override;
  Task<Result<Json>> image_pull(std::string reference, client::ProgressSink progress) override;
  Task<Result<Json>> image_remove(std::string reference) override;
  Task<Result<Json>> image_prune() override;
  Task<Result<Json>> image_build(Json request, client::ProgressSink progress) override;

 private:
  Executors& executors_;
  Paths paths_;
  PodManager& pods_;
  images::ImageService& images_;
  UsageSampler& usage_;
  os::FileWatcher& watcher_;
};

}  // namespace moth::agent

#pragma once
// NodeContainerFactory: the ContainerFactory of this machine, over the image service. Control
// thread; files and mounts are made on the blocking executor.
#include <functional>
#include <string>

#include "api/base/executors.h"
#include "api/client/event_recorder.h"
#include "api/client/object_client.h"
#include "runtime/agent/config/env.h"
#include "runtime/agent/container_factory.h"
#include "runtime/agent/paths.h"
#include "runtime/images/service.h"

namespace moth::agent {

struct NodeFactoryOptions {
  std::string node_name, node_hostname;
  std::string cluster_domain = "cluster.local";
  std::uint64_t log_max_bytes = 10 * 1024 * 1024;
  int log_max_files = 5;
  std::string seccomp_dir;             // of localhost profiles; empty: DATA_DIR/seccomp
  std::int64_t node_memory_bytes = 0;  // 0: asks the machine
};

class NodeContainerFactory final : public ContainerFactory {
 public:
  // All outlive the factory.
  NodeContainerFactory(Executors& executors, Paths paths, images::ImageService& images,
                       const client::ObjectReader& reader, client::EventRecorder& events,
                       NodeFactoryOptions options);

  Task<tl::expected<PulledImage, FactoryError>> pull(
      const PodContext& pod, const resources::Container& container) override;
  Task<tl::expected<oci::CreateRequest, FactoryError>> create(const PodContext& pod,
                                                              const resources::Container& container,
                                                              const PulledImage& image,
                                                              int attempt) override;
  Task<Result<>> remove(const PodContext& pod, std::string container, int attempt) override;
  int stop_signal(const resources::Container& container,
                  const std::string& local_image_id) const override;

  // Last word on a container's configuration, e.g. its devices. May be unset.
  std::function<Result<>(const PodContext&, const resources::Container&, oci::ContainerConfig&)>
      adjust;
  // Path of the process namespace of a running container (target of an ephemeral one); empty when
  // it does not run. May be unset.
  std::function<std::string(const std::string& pod_uid, const std::string& container)>
      process_namespace_of;

 private:
  struct Plan;
  struct Prepared;
  images::Keyring pull_secrets(const PodContext& pod);
  resources::ResourceList node_allocatable() const;
  Result<EnvOutput> environment(const PodContext& pod, const resources::Container& container) const;
  tl::expected<Plan, FactoryError> plan(const PodContext& pod,
                                        const resources::Container& container,
                                        const PulledImage& image, int attempt);
  Result<> plan_mounts(const PodContext& pod, const resources::Container& container,
                       const EnvList& env, Plan& plan) const;
  static tl::expected<Prepared, FactoryError> prepare_files(const Plan& plan,
                                                            const resources::Container& container,
                                                            const std::string& rootfs);
  tl::expected<oci::CreateRequest, FactoryError> assemble(const PodContext& pod,
                                                          const resources::Container& container,
                                                          const Plan& plan,
                                                          const Prepared& prepared,
                                                          const std::string& rootfs);
  std::string subpaths_of(const std::string& pod_uid, const std::string& container,
                          int attempt) const;
  static Result<> drop_subpaths(const std::string& folder);
  Task<void> undo(std::string id, std::string subpaths);

  Executors& executors_;
  Paths paths_;
  images::ImageService& images_;
  const client::ObjectReader& reader_;
  client::EventRecorder& events_;
  NodeFactoryOptions options_;
};

// Where the node keeps (or finds, for hostPath) what a volume holds.
std::string volume_host_path(const Paths& paths, const std::string& pod_uid,
                             const resources::Volume& volume);

}  // namespace moth::agent

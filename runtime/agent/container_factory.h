#pragma once
// ContainerFactory: turns a container of a pod's spec into what the OCI runtime starts: image and
// root file system, environment, mounts, user, limits. Control thread.
#include <string>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/resources/core_v1/pod_spec.h"
#include "runtime/agent/pod_context.h"
#include "runtime/oci/runtime.h"

namespace moth::agent {

// Why a container could not be made, as its waiting reason: CreateContainerConfigError,
// ErrImagePull, ErrImageNeverPull, InvalidImageName, CreateContainerError.
struct FactoryError {
  std::string waiting_reason;
  std::string message;
};

struct PulledImage {
  std::string image_name;  // as status.image shows it
  std::string image_id;    // status.imageID
  std::string local_id;    // of the store
  bool pulled = false;     // else it was present
  Duration pull_time{}, waiting_time{};
  std::uint64_t size_bytes = 0;
};

class ContainerFactory {
 public:
  virtual ~ContainerFactory() = default;
  // Makes the image available under the container's policy. Cancellable.
  virtual Task<tl::expected<PulledImage, FactoryError>> pull(
      const PodContext& pod, const resources::Container& container) = 0;
  // Everything ready to be started: root file system mounted, bundle folder and log folder made.
  virtual Task<tl::expected<oci::CreateRequest, FactoryError>> create(
      const PodContext& pod, const resources::Container& container, const PulledImage& image,
      int attempt) = 0;
  // Unmounts and deletes the root file system of one run. The bundle and the log stay.
  virtual Task<Result<>> remove(const PodContext& pod, std::string container, int attempt) = 0;
  // The signal that stops the container: its own, the image's or SIGTERM.
  virtual int stop_signal(const resources::Container& container,
                          const std::string& local_image_id) const = 0;
};

}  // namespace moth::agent

#pragma once
// VolumePlugin: a sort of volume that the node learns from elsewhere (claims, images ...). Control
// thread; blocking work is sent away inside.
#include <string>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/resources/core_v1/pod_spec.h"
#include "runtime/agent/pod_context.h"

namespace moth::agent {

class VolumePlugin {
 public:
  virtual ~VolumePlugin() = default;
  virtual bool handles(const resources::Volume& volume) const = 0;
  // Makes the volume's content appear at `path`, a folder that exists, and gives it to the pod's
  // fsGroup where that fits (runtime/volumes/ownership.h). Idempotent. The error's
  // message is put behind `MountVolume.SetUp failed for volume "v" : `.
  virtual Task<Result<>> setup(PodContext& pod, const resources::Volume& volume,
                               std::string path) = 0;
  // Before the folder is unmounted and deleted. Idempotent, also without setup().
  virtual Task<Result<>> teardown(PodContext& pod, const resources::Volume& volume,
                                  std::string path) = 0;
};

}  // namespace moth::agent

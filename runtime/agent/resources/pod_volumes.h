#pragma once
#include <map>

#include "runtime/agent/resources/pod_resources.h"
#include "runtime/volumes/payload.h"

namespace moth::agent {

class PodTokens;

// The volumes of the pod's spec. update() rewrites those made of API objects when these changed.
class PodVolumes final : public PodResource {
 public:
  explicit PodVolumes(ResourceServices& services) : services_(services) {}
  std::string_view name() const override { return "volumes"; }
  std::string_view event_reason() const override { return "FailedMount"; }
  Task<Result<>> prepare(PodContext& pod) override;
  Task<Result<>> update(PodContext& pod) override;
  Task<Result<>> cleanup(PodContext& pod) override;

 private:
  Task<Result<>> setup(PodContext& pod, resources::Volume volume);
  Task<Result<>> write(PodContext& pod, resources::Volume volume);
  Task<Result<std::vector<std::string>>> tokens_for(PodContext& pod, resources::Volume volume);
  VolumePlugin* plugin_for(const resources::Volume& volume) const;
  resources::ResourceList node_allocatable() const;

  ResourceServices& services_;
  // What a volume was last written from, by pod uid and volume: unchanged sources are not read.
  std::map<std::string, std::map<std::string, std::string>> written_;
};

// The files of a volume made of API objects. Errors have upstream's texts. Control thread.
struct PayloadInput {
  const PodContext& pod;
  const client::ObjectReader& reader;
  const resources::ResourceList& node_allocatable;
  // For a fingerprint.
  const PodTokens* tokens = nullptr;
  // For a payload: those of the volume's serviceAccountToken sources, in their order.
  const std::vector<std::string>* token_texts = nullptr;
};
Result<volumes::Payload> volume_payload(const PayloadInput& input, const resources::Volume& volume);
// Whether what the volume is made of can be read: volume_payload() without its tokens.
Result<> source_problem(const PayloadInput& input, const resources::Volume& volume);
// Names the versions of everything that volume_payload() would read.
std::string payload_fingerprint(const PayloadInput& input, const resources::Volume& volume);
bool is_payload_volume(const resources::Volume& volume);

}  // namespace moth::agent

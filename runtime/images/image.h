#pragma once
// Image: one image of the local store, immutable and shared.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"

namespace moth::images {

struct ImageConfig {
  std::string architecture;  // Go's names: amd64, arm64
  std::string os;
  std::string variant;
  std::string created;           // RFC 3339, as in the image
  std::vector<std::string> env;  // NAME=value
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string user;  // "", "uid", "name", "uid:gid", "name:group"
  std::string working_dir;
  std::string stop_signal;                 // "", "SIGTERM", "15"
  std::vector<std::string> exposed_ports;  // 8080/tcp
  std::vector<std::string> volumes;
  std::map<std::string, std::string> labels;
  std::vector<std::string> diff_ids;  // bottom first
};

// Reads an OCI or docker image configuration. Errors name the member.
Result<ImageConfig> parse_image_config(std::string_view text);

struct Image {
  std::string id;                    // sha256:... of the configuration
  std::vector<std::string> names;    // docker.io/library/nginx:1.25, sorted; may be empty
  std::vector<std::string> digests;  // docker.io/library/nginx@sha256:..., sorted
  std::vector<std::string> layers;   // chain ids, bottom first
  ImageConfig config;
  std::uint64_t size_bytes = 0;  // of all its layers on disk, shared ones included
  WallTime stored_at;
  bool local = false;  // loaded or built here, never seen at a registry
  // Fingerprints of the imagePullSecrets that fetched it; empty: anyone may use it.
  std::vector<std::string> pulled_with;

  // What a container's imageID shows: name@digest, else the id.
  std::string image_id() const;
};

using ImagePtr = std::shared_ptr<const Image>;

// The chain ids of a stack of layers (OCI image spec): chain[0] = diff[0], chain[n] =
// sha256(chain[n-1] + " " + diff[n]).
std::vector<std::string> chain_ids(const std::vector<std::string>& diff_ids);

// "amd64", "arm64": the architecture of this machine as images name it.
std::string_view host_architecture();

}  // namespace moth::images

#pragma once
// Image references: "nginx", "localhost:5000/team/app:v1", "ghcr.io/a/b@sha256:...". Pure.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::images {

inline constexpr std::string_view kDefaultRegistry = "docker.io";

struct Reference {
  std::string registry;    // docker.io, ghcr.io, localhost:5000, [::1]:5000
  std::string repository;  // library/nginx
  std::string tag;         // latest when the text names neither a tag nor a digest
  std::string digest;      // sha256:<64 hex>, or empty
  bool registry_given = false;

  // docker.io/library/nginx
  std::string name() const;
  // docker.io/library/nginx:1.25; with a digest docker.io/library/nginx@sha256:... (the tag, which
  // says nothing then, is left out). This is what the store keeps and compares.
  std::string canonical() const;
  // As users write it: nginx:1.25, team/app@sha256:..., ghcr.io/a/b:v1.
  std::string familiar() const;
};

// Invalid with upstream's text: `couldn't parse image name "X": invalid reference format` (the
// kubelet's InvalidImageName).
Result<Reference> parse_reference(std::string_view text);

// True for sha256:<64 lower-case hex digits>.
bool valid_digest(std::string_view text);
// The 64 hex digits of a valid digest.
std::string_view digest_hex(std::string_view digest);

// Canonical names under which an image that `reference` means may be stored here, best first. A
// reference without a registry also means localhost/NAME, where buildah and podman put what they
// build.
std::vector<std::string> local_candidates(const Reference& reference);

}  // namespace moth::images

#pragma once
// The Node object of this machine: what it has, what it offers, how it is. Pure building from
// facts; gathering the facts reads /proc and blocks shortly.
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::agent {

struct NodeFacts {
  std::string name, internal_ip, architecture, kernel_version, os_image, machine_id, system_uuid,
      boot_id;
  std::string runtime_version;  // "runc 1.1.5"
  std::string version;          // kubeletVersion
  std::string pod_cidr;
  int cpus = 1;
  std::uint64_t memory_bytes = 0;
  std::uint64_t storage_bytes = 0;
  std::uint64_t storage_available = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> huge_pages;  // page size, pages
  int max_pods = 110;
  struct Image {
    std::vector<std::string> names;
    std::uint64_t size_bytes = 0;
  };
  std::vector<Image> images;
};

NodeFacts gather_node_facts(const std::string& data_dir);

// `existing`: the stored object, or null for a new one. Labels, taints and the like that others set
// are kept.
Json build_node(const NodeFacts& facts, const Json& existing, WallTime now);

}  // namespace moth::agent

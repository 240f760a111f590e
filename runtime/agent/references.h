#pragma once
// Which pods refer to which ConfigMaps and Secrets, so that those whose sources changed can be
// brought up to date. Control thread.
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "api/resources/core_v1/pod_spec.h"

namespace moth::agent {

struct References {
  std::set<std::string> config_maps, secrets;  // names in the pod's namespace
  bool operator==(const References&) const = default;
};
// Of environment, volumes and pull secrets.
References references_of(const resources::PodSpec& spec);

class ReferenceIndex {
 public:
  // Adds a pod, or replaces what was known about it.
  void set(const std::string& pod_uid, const std::string& ns, const resources::PodSpec& spec);
  void erase(const std::string& pod_uid);
  // Uids; empty when nobody refers to it.
  std::set<std::string> users_of_config_map(const std::string& ns, const std::string& name) const;
  std::set<std::string> users_of_secret(const std::string& ns, const std::string& name) const;

 private:
  using Key = std::tuple<bool, std::string, std::string>;  // secret, namespace, name
  std::set<std::string> users(const Key& key) const;
  std::map<Key, std::set<std::string>> users_;
  std::map<std::string, std::set<Key>> keys_;
};

}  // namespace moth::agent

#include "runtime/agent/references.h"

namespace moth::agent {

using namespace resources;

namespace {

struct Collector {
  References& out;
  void operator()(const ConfigMapVolume& volume) const { out.config_maps.insert(volume.name); }
  void operator()(const SecretVolume& volume) const { out.secrets.insert(volume.name); }
  void operator()(const ProjectedVolume& volume) const {
    for (const auto& source : volume.sources) std::visit(*this, source);
  }
  template <class Other>
  void operator()(const Other&) const {}
};

void collect(const Container& container, References& out) {
  for (const EnvFrom& source : container.env_from) {
    (source.secret ? out.secrets : out.config_maps).insert(source.ref_name);
  }
  for (const EnvVar& variable : container.env) {
    if (variable.source == EnvVar::Source::kConfigMapKey) out.config_maps.insert(variable.ref_name);
    if (variable.source == EnvVar::Source::kSecretKey) out.secrets.insert(variable.ref_name);
  }
}

}  // namespace

References references_of(const PodSpec& spec) {
  References out;
  for (const auto* list : {&spec.init_containers, &spec.containers, &spec.ephemeral_containers}) {
    for (const Container& container : *list) collect(container, out);
  }
  for (const Volume& volume : spec.volumes) std::visit(Collector{out}, volume.source);
  out.secrets.insert(spec.image_pull_secrets.begin(), spec.image_pull_secrets.end());
  return out;
}

void ReferenceIndex::set(const std::string& pod_uid, const std::string& ns, const PodSpec& spec) {
  const References references = references_of(spec);
  std::set<Key> keys;
  for (const std::string& name : references.config_maps) keys.emplace(false, ns, name);
  for (const std::string& name : references.secrets) keys.emplace(true, ns, name);
  // Every status of a pod comes by here; hardly ever do its references change.
  if (auto known = keys_.find(pod_uid); known != keys_.end() && known->second == keys) return;
  erase(pod_uid);
  if (keys.empty()) return;
  for (const Key& key : keys) users_[key].insert(pod_uid);
  keys_.emplace(pod_uid, std::move(keys));
}

void ReferenceIndex::erase(const std::string& pod_uid) {
  auto known = keys_.find(pod_uid);
  if (known == keys_.end()) return;
  for (const Key& key : known->second) {
    auto users = users_.find(key);
    users->second.erase(pod_uid);
    if (users->second.empty()) users_.erase(users);
  }
  keys_.erase(known);
}

std::set<std::string> ReferenceIndex::users(const Key& key) const {
  auto found = users_.find(key);
  return found == users_.end() ? std::set<std::string>{} : found->second;
}

std::set<std::string> ReferenceIndex::users_of_config_map(const std::string& ns,
                                                          const std::string& name) const {
  return users({false, ns, name});
}

std::set<std::string> ReferenceIndex::users_of_secret(const std::string& ns,
                                                      const std::string& name) const {
  return users({true, ns, name});
}

}  // namespace moth::agent

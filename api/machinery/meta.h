#pragma once
// Meta: ObjectMeta, decoded. Value type; built once per object version and then shared.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/machinery/labels.h"

namespace moth {

struct OwnerReference {
  std::string api_version, kind, name, uid;
  bool controller = false;
  bool block_owner_deletion = false;
};

struct Meta {
  std::string name, generate_name, ns, uid;
  std::uint64_t resource_version = 0;  // 0: not stored yet
  std::int64_t generation = 0;
  std::optional<WallTime> created;
  std::optional<WallTime> deletion_time;
  std::optional<std::int64_t> deletion_grace_seconds;
  Labels labels;
  Labels annotations;
  std::vector<OwnerReference> owners;
  std::vector<std::string> finalizers;

  // "ns/name", or "name" for cluster scope.
  std::string key() const { return ns.empty() ? name : ns + "/" + name; }
  // The owner with controller=true, or null.
  const OwnerReference* controller() const;
  // The value of an annotation, or "".
  const std::string& annotation(std::string_view key) const;
};

// Reads the `metadata` of a whole object. Members of a wrong type are skipped: the schema has
// refused them before anything is stored.
Meta parse_meta(const Json& object);

}  // namespace moth

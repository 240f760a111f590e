#include "api/resources/quota/ledger.h"

#include <utility>

#include "api/base/json.h"

namespace moth::resources::quota {

Ledger::Ledger(List list, Watch watch) : list_(std::move(list)), watch_(std::move(watch)) {}
Ledger::~Ledger() = default;

namespace {

Usage usage_of_object(const std::string& qualified, const Object& object) {
  auto [resource, group] = split_resource(qualified);
  return usage_of(group, resource, object.parse());
}

}  // namespace

void Ledger::set_quota(const std::string& ns, const std::string& name, const ObjectPtr& quota) {
  if (quota) {
    Space& space = spaces_[ns];
    Quota& known = space.quotas[name];
    const auto& view = quota->view<ResourceQuotaView>();
    bool same = known.object && known.hard == view.hard && known.object->uid() == quota->uid();
    known.object = quota;
    if (same) return;  // its status was written; scopes never change
    known.hard = view.hard;
    known.scopes = view.scopes;
    space.stale = true;
    return;
  }
  auto space = spaces_.find(ns);
  if (space == spaces_.end()) return;
  space->second.quotas.erase(name);
  if (space->second.quotas.empty()) spaces_.erase(space);
}

void Ledger::change(const std::string& qualified, const std::string& ns, const std::string& uid,
                    const Object* object) {
  auto found = spaces_.find(ns);
  if (found == spaces_.end() || !found->second.loaded.contains(qualified)) return;
  Space& space = found->second;
  auto known = space.entries.find(uid);
  if (!object) {
    if (known == space.entries.end()) return;
    add_to_quotas(space, known->second.usage, -1);
    space.entries.erase(known);
    return;
  }
  Entry& entry = space.entries[uid];
  entry.qualified = qualified;
  if (entry.pending > 0) {
    entry.before.erase(entry.before.begin());
    // A newer version than this one is charged already.
    if (--entry.pending > 0) return;
  }
  put(space, uid, entry, usage_of_object(qualified, *object));
}

void Ledger::put(Space& space, const std::string& uid, Entry& entry, Usage usage) {
  add_to_quotas(space, entry.usage, -1);
  entry.usage = std::move(usage);
  add_to_quotas(space, entry.usage, +1);
  if (entry.usage.ends_at) space.ends.emplace(*entry.usage.ends_at, uid);
}

void Ledger::add_to_quotas(Space& space, const Usage& usage, int sign) {
  for (auto& [name, quota] : space.quotas) {
    if (!matches_scopes(quota.scopes, usage.traits)) continue;
    for (const auto& [resource, quantity] : usage.amounts) {
      auto used = quota.used.find(resource);
      if (used == quota.used.end()) continue;
      if (sign > 0) {
        used->second += quantity;
      } else {
        used->second -= quantity;
      }
    }
  }
}

std::vector<ObjectPtr> Ledger::quotas(const std::string& ns) const {
  std::vector<ObjectPtr> out;
  if (auto space = spaces_.find(ns); space != spaces_.end()) {
    for (const auto& [name, quota] : space->second.quotas) out.push_back(quota.object);
  }
  return out;
}

bool Ledger::counts(const std::string& ns, const std::string& qualified) {
  auto found = spaces_.find(ns);
  if (found == spaces_.end()) return false;
  if (found->second.stale) refresh(ns, found->second);
  return found->second.loaded.contains(qualified);
}

// Reads what quotas count and nobody has read yet, and adds all up.
void Ledger::refresh(const std::string& ns, Space& space) {
  space.stale = false;
  for (const auto& [name, quota] : space.quotas) {
    for (const auto& [resource, limit] : quota.hard) {
      std::string qualified = counted_resource(resource);
      if (space.loaded.contains(qualified)) continue;
      if (!watched_.contains(qualified)) {
        if (!watch_(qualified)) continue;
        watched_.insert(qualified);
      }
      space.loaded.insert(qualified);
      for (const ObjectPtr& object : list_(qualified, ns)) {
        Entry& entry = space.entries[object->uid()];
        entry.qualified = qualified;
        entry.usage = usage_of_object(qualified, *object);
        if (entry.usage.ends_at) space.ends.emplace(*entry.usage.ends_at, object->uid());
      }
    }
  }
  for (auto& [name, quota] : space.quotas) {
    quota.used.clear();
    for (const auto& [resource, limit] : quota.hard) {
      // The sum is printed in the family of what is allowed.
      quota.used[resource] = Quantity::from_value(0, limit.format());
    }
  }
  for (const auto& [uid, entry] : space.entries) add_to_quotas(space, entry.usage, +1);
}

void Ledger::expire(Space& space, WallTime now) {
  while (!space.ends.empty() && space.ends.begin()->first <= now) {
    std::string uid = space.ends.begin()->second;
    space.ends.erase(space.ends.begin());
    auto known = space.entries.find(uid);
    if (known == space.entries.end() || !known->second.usage.ends_at) continue;
    if (*known->second.usage.ends_at > now) continue;
    Usage after = known->second.usage;
    after.amounts = after.amounts_after;
    after.ends_at.reset();
    put(space, uid, known->second, std::move(after));
  }
}

const ResourceList* Ledger::used(const std::string& ns, const std::string& quota, WallTime now) {
  auto found = spaces_.find(ns);
  if (found == spaces_.end()) return nullptr;
  Space& space = found->second;
  auto wanted = space.quotas.find(quota);
  if (wanted == space.quotas.end()) return nullptr;
  if (space.stale) refresh(ns, space);
  expire(space, now);
  return &wanted->second.used;
}

const Usage* Ledger::entry(const std::string& ns, const std::string& uid) const {
  auto space = spaces_.find(ns);
  if (space == spaces_.end()) return nullptr;
  auto known = space->second.entries.find(uid);
  return known == space->second.entries.end() ? nullptr : &known->second.usage;
}

void Ledger::charge(const std::string& qualified, const std::string& ns, const std::string& uid,
                    Usage usage) {
  auto found = spaces_.find(ns);
  if (found == spaces_.end()) return;
  Space& space = found->second;
  bool known = space.entries.contains(uid);
  Entry& entry = space.entries[uid];
  entry.qualified = qualified;
  entry.before.push_back(known ? std::optional(entry.usage) : std::nullopt);
  ++entry.pending;
  put(space, uid, entry, std::move(usage));
}

void Ledger::undo(const std::string& ns, const std::string& uid) {
  auto found = spaces_.find(ns);
  if (found == spaces_.end()) return;
  auto known = found->second.entries.find(uid);
  if (known == found->second.entries.end() || known->second.before.empty()) return;
  std::optional<Usage> before = std::move(known->second.before.back());
  known->second.before.pop_back();
  --known->second.pending;
  if (before) {
    put(found->second, uid, known->second, std::move(*before));
  } else {
    add_to_quotas(found->second, known->second.usage, -1);
    found->second.entries.erase(known);
  }
}

void Ledger::resources_changed() {
  for (auto& [ns, space] : spaces_) space.stale = true;
}

}  // namespace moth::resources::quota

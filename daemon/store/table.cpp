#include "daemon/store/table.h"

namespace moth::store {

Table::Table(std::string name, std::uint64_t revision, EventRing::Limits limits)
    : name_(std::move(name)), ring_(revision, limits) {}

ObjectPtr Table::get(std::string_view ns, std::string_view name) const {
  auto it = committed_.find(KeyView{ns, name});
  return it == committed_.end() ? nullptr : it->object;
}

ObjectPtr Table::latest(std::string_view ns, std::string_view name) const {
  auto it = pending_.find(KeyView{ns, name});
  return it == pending_.end() ? get(ns, name) : it->second.newest;
}

bool Table::has_pending(std::string_view ns, std::string_view name) const {
  return pending_.find(KeyView{ns, name}) != pending_.end();
}

std::vector<ObjectPtr> Table::list(std::string_view ns) const {
  std::vector<ObjectPtr> objects;
  if (ns.empty()) {
    objects.reserve(committed_.size());
    for (const Entry& entry : committed_) objects.push_back(entry.object);
    return objects;
  }
  for (auto it = committed_.lower_bound(KeyView{ns, ""});
       it != committed_.end() && it->object->ns() == ns; ++it) {
    objects.push_back(it->object);
  }
  return objects;
}

Result<std::vector<ObjectPtr>> Table::list_at(std::string_view ns, std::uint64_t revision) const {
  if (!ring_.reaches(revision)) return fail(too_old(revision, ring_.floor()));
  std::map<KeyView, ObjectPtr> objects;
  for (ObjectPtr& object : list(ns)) {
    KeyView key{object->ns(), object->name()};
    objects.emplace(key, std::move(object));
  }
  auto changes = ring_.after(revision, ring_.size());
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) {
    if (!ns.empty() && change->object->ns() != ns) continue;
    // The keys point into the objects, so an entry never outlives its own.
    objects.erase(KeyView{change->object->ns(), change->object->name()});
    if (change->previous)
      objects.emplace(KeyView{change->previous->ns(), change->previous->name()}, change->previous);
  }
  std::vector<ObjectPtr> listed;
  listed.reserve(objects.size());
  for (auto& [key, object] : objects) listed.push_back(std::move(object));
  return listed;
}

bool Table::load(ObjectPtr object) {
  // Rows arrive in the order of the keys, so the end is the right place nearly always.
  std::size_t before = committed_.size();
  committed_.insert(committed_.end(), Entry{std::move(object)});
  return committed_.size() > before;
}

void Table::stage(const Op& op) {
  Pending& pending = pending_[Key{op.object->ns(), op.object->name()}];
  pending.newest = op.type == server::EventType::kDeleted ? nullptr : op.object;
  pending.revision = op.revision;
}

server::StoreEvent Table::publish(const Op& op) {
  KeyView key{op.object->ns(), op.object->name()};
  if (auto it = pending_.find(key); it != pending_.end() && it->second.revision == op.revision) {
    pending_.erase(it);
  }
  server::StoreEvent event{op.revision, op.type, op.object, nullptr};
  auto it = committed_.find(key);
  if (it != committed_.end()) event.previous = it->object;
  if (op.type == server::EventType::kDeleted) {
    if (it != committed_.end()) committed_.erase(it);
  } else if (it != committed_.end()) {
    it->object = op.object;
  } else {
    committed_.insert(Entry{op.object});
  }
  ring_.push(event);
  return event;
}

}  // namespace moth::store

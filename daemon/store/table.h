#pragma once
// Table: the objects of one stored resource, ordered by (namespace, name): what is committed, and
// above it the newest staged version of each key that has one. Control thread only.
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/server/storage.h"
#include "daemon/store/batch.h"
#include "daemon/store/event_ring.h"

namespace moth::store {

class Table {
 public:
  // `name` is the qualified name of the resource; the ring starts at `revision`.
  Table(std::string name, std::uint64_t revision, EventRing::Limits limits);

  const std::string& name() const { return name_; }
  ObjectPtr get(std::string_view ns, std::string_view name) const;
  ObjectPtr latest(std::string_view ns, std::string_view name) const;
  // Whether the key has staged writes that are not published.
  bool has_pending(std::string_view ns, std::string_view name) const;
  // Committed objects; an empty namespace gives all.
  std::vector<ObjectPtr> list(std::string_view ns) const;
  // The same as of an earlier revision, undoing the ring's changes since. Expired when the ring
  // does not reach back that far.
  Result<std::vector<ObjectPtr>> list_at(std::string_view ns, std::uint64_t revision) const;
  std::size_t size() const { return committed_.size(); }

  // A row of the database. False when the key is there already.
  bool load(ObjectPtr object);
  void stage(const Op& op);
  // Applies a committed op and returns the event of it.
  server::StoreEvent publish(const Op& op);
  // Forgets all staged versions: the store has failed.
  void drop_pending() { pending_.clear(); }

  // Keys whose committed state is not on disk, each with some version of the object: a deleted one
  // has no other.
  struct Unsaved {
    ObjectPtr object;
    bool on_disk = false;  // an earlier state is
  };
  using Dirty = std::map<Key, Unsaved>;
  const Dirty& dirty() const { return dirty_; }
  void mark_dirty(Key key, Unsaved unsaved) { dirty_[std::move(key)] = std::move(unsaved); }
  void mark_clean(const Key& key) { dirty_.erase(key); }

  EventRing& ring() { return ring_; }
  std::vector<server::Storage::Listener>& listeners() { return listeners_; }

 private:
  using KeyView = std::pair<std::string_view, std::string_view>;
  // Ordered by the object's own strings, so that no key is kept beside it. An entry's object is
  // replaced in place by one of the same key.
  struct Entry {
    mutable ObjectPtr object;
    KeyView key() const { return {object->ns(), object->name()}; }
  };
  struct ByKey {
    using is_transparent = void;
    bool operator()(const Entry& a, const Entry& b) const { return a.key() < b.key(); }
    bool operator()(const Entry& a, const KeyView& b) const { return a.key() < b; }
    bool operator()(const KeyView& a, const Entry& b) const { return a < b.key(); }
    bool operator()(const Key& a, const Key& b) const { return a < b; }
    bool operator()(const Key& a, const KeyView& b) const { return KeyView{a.ns, a.name} < b; }
    bool operator()(const KeyView& a, const Key& b) const { return a < KeyView{b.ns, b.name}; }
  };
  struct Pending {
    ObjectPtr newest;  // null: deleted
    std::uint64_t revision = 0;
  };

  std::string name_;
  std::set<Entry, ByKey> committed_;
  std::map<Key, Pending, ByKey> pending_;
  Dirty dirty_;
  EventRing ring_;
  std::vector<server::Storage::Listener> listeners_;
};

}  // namespace moth::store

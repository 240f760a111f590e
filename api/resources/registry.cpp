#include "api/resources/registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include "api/base/json.h"
#include "api/machinery/version_order.h"

namespace moth::resources {

std::vector<std::string> verb_names(unsigned verbs) {
  struct Row {
    unsigned bit;
    const char* name;
  };
  static constexpr std::array kRows = {
      Row{kCreate, "create"}, Row{kDelete, "delete"}, Row{kDeleteCollection, "deletecollection"},
      Row{kGet, "get"},       Row{kList, "list"},     Row{kPatch, "patch"},
      Row{kUpdate, "update"}, Row{kWatch, "watch"}};
  std::vector<std::string> names;
  for (const Row& row : kRows) {
    if (verbs & row.bit) names.emplace_back(row.name);
  }
  return names;
}

const Subresource* ResourceDef::subresource(std::string_view wanted) const {
  for (const Subresource& candidate : subresources) {
    if (candidate.name == wanted) return &candidate;
  }
  return nullptr;
}

schema::Type ResourceDef::type() const {
  return custom ? custom->type() : schema::find_type(type_name);
}

schema::Type ResourceDef::list_type() const {
  return custom ? custom->list_type() : schema::find_type(type_name + "List");
}

namespace {

// Rows that come and go together; they point to each other.
using RowSet = std::vector<std::unique_ptr<ResourceDef>>;

}  // namespace

class Registry::Snapshot {
 public:
  std::shared_ptr<const RowSet> builtin;
  std::map<std::string, std::shared_ptr<const RowSet>> custom;  // by owner

  std::vector<const ResourceDef*> order;
  std::map<Gvr, const ResourceDef*> by_resource;
  std::map<Gvk, const ResourceDef*> by_kind;
  std::map<std::string, const ResourceDef*, std::less<>> stored;

  // Fills what is derived from the row sets.
  void index() {
    for (const auto& row : *builtin) order.push_back(row.get());
    std::vector<const ResourceDef*> more;
    for (const auto& [owner, rows] : custom) {
      for (const auto& row : *rows) more.push_back(row.get());
    }
    std::stable_sort(more.begin(), more.end(), [](const ResourceDef* a, const ResourceDef* b) {
      if (a->group != b->group) return a->group < b->group;
      if (a->version != b->version) return compare_versions(a->version, b->version) < 0;
      return a->resource < b->resource;
    });
    order.insert(order.end(), more.begin(), more.end());
    for (const ResourceDef* row : order) {
      by_resource.try_emplace(row->gvr(), row);
      by_kind.try_emplace(row->gvk(), row);
      if (row->is_storage()) stored.try_emplace(row->qualified(), row);
    }
  }
};

struct Registry::Impl {
  // Before seal().
  RowSet rows;

  mutable std::mutex mutex;  // guards `current` and `generation`
  SnapshotPtr current = std::make_shared<const Snapshot>();
  std::uint64_t generation = 0;

  // Control.
  std::map<std::string, std::size_t, std::less<>> storage_indexes;
  std::vector<std::function<void()>> listeners;

  void publish(std::shared_ptr<const Snapshot> next) {
    SnapshotPtr before;  // ends outside of the lock: it may hold the last row of something
    {
      std::lock_guard lock(mutex);
      before = std::exchange(current, std::move(next));
      ++generation;
    }
  }

  std::size_t storage_index(const std::string& qualified) {
    return storage_indexes.try_emplace(qualified, storage_indexes.size()).first->second;
  }

  Result<> link(const RowSet& set) {
    for (const auto& row : set) {
      if (!row->is_storage()) continue;
      row->storage_index = storage_index(row->qualified());
      row->storage_def = row.get();
    }
    for (const auto& row : set) {
      if (row->is_storage()) continue;
      const std::string& group = row->storage_group.empty() ? row->group : row->storage_group;
      Gvr wanted{group == "core" ? "" : group, row->storage_version, row->resource};
      auto it = std::find_if(set.begin(), set.end(),
                             [&](const auto& other) { return other->gvr() == wanted; });
      if (it == set.end()) {
        return fail(
            Error::internal(fmt::format("{} {} names an unknown stored version {}",
                                        row->qualified(), row->version, row->storage_version)));
      }
      row->storage_index = (*it)->storage_index;
      row->storage_def = it->get();
    }
    return {};
  }
};

Registry::Rows::Rows(SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {}
std::vector<const ResourceDef*>::const_iterator Registry::Rows::begin() const {
  return snapshot_->order.begin();
}
std::vector<const ResourceDef*>::const_iterator Registry::Rows::end() const {
  return snapshot_->order.end();
}
std::size_t Registry::Rows::size() const {
  return snapshot_->order.size();
}

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Result<const ResourceDef*> Registry::add(ResourceDef def) {
  for (const auto& row : impl_->rows) {
    if (row->gvr() == def.gvr()) {
      return fail(Error::internal(fmt::format("resource {} is registered twice", def.qualified())));
    }
  }
  return impl_->rows.emplace_back(std::make_unique<ResourceDef>(std::move(def))).get();
}

Result<> Registry::seal() {
  MOTH_TRY(impl_->link(impl_->rows));
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->builtin = std::make_shared<const RowSet>(std::move(impl_->rows));
  impl_->rows.clear();
  snapshot->index();
  impl_->publish(std::move(snapshot));
  return {};
}

Result<> Registry::replace(const std::string& owner, std::vector<ResourceDef> rows) {
  SnapshotPtr before = snapshot();
  if (rows.empty() && !before->custom.contains(owner)) return {};
  auto next = std::make_shared<Snapshot>();
  next->builtin = before->builtin;
  next->custom = before->custom;
  next->custom.erase(owner);
  auto set = std::make_shared<RowSet>();
  for (ResourceDef& row : rows) set->push_back(std::make_unique<ResourceDef>(std::move(row)));
  auto taken = [&](const RowSet& others) {
    for (const auto& row : *set) {
      for (const auto& other : others) {
        if (row->gvr() == other->gvr() || row->gvk() == other->gvk()) return row.get();
      }
    }
    return static_cast<ResourceDef*>(nullptr);
  };
  const ResourceDef* clash = taken(*next->builtin);
  for (const auto& [other, others] : next->custom) {
    if (!clash) clash = taken(*others);
  }
  if (clash) return fail(Error::already_exists(clash->qualified(), clash->version));
  MOTH_TRY(impl_->link(*set));
  if (!set->empty()) next->custom[owner] = std::move(set);
  next->index();
  impl_->publish(std::move(next));
  for (std::size_t i = 0; i < impl_->listeners.size(); ++i) impl_->listeners[i]();
  return {};
}

void Registry::on_change(std::function<void()> listener) {
  impl_->listeners.push_back(std::move(listener));
}

Registry::SnapshotPtr Registry::snapshot() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->current;
}

std::uint64_t Registry::generation() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->generation;
}

const ResourceDef* Registry::find(std::string_view group, std::string_view version,
                                  std::string_view resource) const {
  return find(Gvr{std::string(group), std::string(version), std::string(resource)});
}

const ResourceDef* Registry::find(const Gvr& gvr) const {
  SnapshotPtr now = snapshot();
  auto it = now->by_resource.find(gvr);
  return it == now->by_resource.end() ? nullptr : it->second;
}

const ResourceDef* Registry::find_kind(const Gvk& gvk) const {
  SnapshotPtr now = snapshot();
  auto it = now->by_kind.find(gvk);
  return it == now->by_kind.end() ? nullptr : it->second;
}

const ResourceDef* Registry::find_stored(std::string_view qualified) const {
  SnapshotPtr now = snapshot();
  auto it = now->stored.find(qualified);
  return it == now->stored.end() ? nullptr : it->second;
}

Registry::Rows Registry::all() const {
  return Rows(snapshot());
}

std::size_t Registry::storage_count() const {
  return impl_->storage_indexes.size();
}

}  // namespace moth::resources

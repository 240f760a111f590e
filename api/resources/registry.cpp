#include "api/resources/registry.h"

#include <fmt/format.h>

#include <array>
#include <map>

#include "api/base/json.h"

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

struct Registry::Impl {
  std::vector<std::unique_ptr<ResourceDef>> rows;
  std::vector<const ResourceDef*> order;
  std::map<Gvr, ResourceDef*> by_resource;
  std::map<Gvk, ResourceDef*> by_kind;
  std::size_t storage_count = 0;
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Result<const ResourceDef*> Registry::add(ResourceDef def) {
  if (impl_->by_resource.contains(def.gvr())) {
    return fail(Error::internal(fmt::format("resource {} is registered twice", def.qualified())));
  }
  auto& row = impl_->rows.emplace_back(std::make_unique<ResourceDef>(std::move(def)));
  impl_->order.push_back(row.get());
  impl_->by_resource[row->gvr()] = row.get();
  impl_->by_kind.try_emplace(row->gvk(), row.get());
  return row.get();
}

Result<> Registry::seal() {
  for (auto& row : impl_->rows) {
    if (!row->is_storage() || row->storage_def) continue;
    row->storage_index = impl_->storage_count++;
    row->storage_def = row.get();
  }
  for (auto& row : impl_->rows) {
    if (row->is_storage()) continue;
    const std::string& group = row->storage_group.empty() ? row->group : row->storage_group;
    auto it = impl_->by_resource.find(
        Gvr{group == "core" ? "" : group, row->storage_version, row->resource});
    if (it == impl_->by_resource.end()) {
      return fail(
          Error::internal(fmt::format("{} {} names an unknown stored version {}", row->qualified(),
                                      row->version, row->storage_version)));
    }
    row->storage_index = it->second->storage_index;
    row->storage_def = it->second;
  }
  return {};
}

const ResourceDef* Registry::find(std::string_view group, std::string_view version,
                                  std::string_view resource) const {
  return find(Gvr{std::string(group), std::string(version), std::string(resource)});
}

const ResourceDef* Registry::find(const Gvr& gvr) const {
  auto it = impl_->by_resource.find(gvr);
  return it == impl_->by_resource.end() ? nullptr : it->second;
}

const ResourceDef* Registry::find_kind(const Gvk& gvk) const {
  auto it = impl_->by_kind.find(gvk);
  return it == impl_->by_kind.end() ? nullptr : it->second;
}

const std::vector<const ResourceDef*>& Registry::all() const {
  return impl_->order;
}
std::size_t Registry::storage_count() const {
  return impl_->storage_count;
}

}  // namespace moth::resources

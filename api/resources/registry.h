#pragma once
// The registry: one ResourceDef row per served resource drives discovery, routes, verbs,
// subresources, decoding, defaults, validation, selectors, printing and storage. Adding a kind is
// adding a row. Rows are built once at start and never change (CustomResourceDefinitions will add
// rows at run time on the control thread). Hooks are pure functions, called on any thread.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/field_error.h"
#include "api/machinery/gvk.h"

namespace moth::resources {

enum Verb : unsigned {
  kGet = 1,
  kList = 2,
  kWatch = 4,
  kCreate = 8,
  kUpdate = 16,
  kPatch = 32,
  kDelete = 64,
  kDeleteCollection = 128,
  kAllVerbs = 255,
  kReadOnlyVerbs = 7,
};
// In the order of upstream's discovery: create, delete, deletecollection, get, ...
std::vector<std::string> verb_names(unsigned verbs);

// When a write is on disk. Durable: acknowledged after the commit. Lazy: in memory, flushed now and
// then and at a clean stop. Virtual: computed, never stored.
enum class Durability { kDurable, kLazy, kVirtual };

// One column of a Table. Cells come from RowPrinter in the same order.
struct Column {
  std::string name;
  std::string type = "string";  // string | integer | boolean | date | number
  std::string format;           // "name" for the first
  std::string description;
  int priority = 0;  // 1: only with -o wide
};

struct RowContext {
  WallTime now;  // for ages
};

// A subresource for discovery and routing. `kind` is what it answers with.
struct Subresource {
  std::string name;  // status, scale, log, exec, binding, eviction, ...
  Gvk kind;
  unsigned verbs = kGet | kUpdate | kPatch;
};

struct ResourceDef {
  std::string group, version, resource, singular, kind;
  bool namespaced = true;
  std::vector<std::string> short_names, categories;
  unsigned verbs = kAllVerbs;
  std::string type_name;  // the schema type, e.g. "core.v1.Pod"
  std::vector<Subresource> subresources;
  Durability durability = Durability::kDurable;
  // True for an object that a controller makes anew after a crash, so that it is written lazily
  // although its kind is durable (slices of the endpoints controller). Unset: none.
  std::function<bool(const Json& object)> rebuilt;
  // Writes to /status. Lazy: a node rebuilds it after a crash.
  Durability status_durability = Durability::kLazy;
  // PUT without resourceVersion overwrites (most kinds); false: 422.
  bool allow_unconditional_update = true;
  // PUT of an absent object creates it.
  bool allow_create_on_update = false;
  // Seconds of metadata.deletionGracePeriodSeconds for a delete without options; pods read
  // spec.terminationGracePeriodSeconds instead.
  bool graceful_delete = false;
  // spec changes raise metadata.generation (kinds with spec and status).
  bool has_generation = false;

  // Fills semantic defaults in (k8s-behaviours section 4). Idempotent.
  std::function<void(Json& object)> set_defaults;
  // Before a create: drops what a client may not set, fills initial status.
  std::function<void(Json& object)> prepare_create;
  // Before an update of the main resource: keeps what it may not change (status is kept by the
  // pipeline), e.g. drops a nodePort on a type change.
  std::function<void(Json& object, const Json& old)> prepare_update;
  // Everything but metadata, which the pipeline checks. Messages and paths are upstream's.
  std::function<FieldErrors(const Json& object)> validate;
  std::function<FieldErrors(const Json& object, const Json& old)> validate_update;
  // Of a write to /status; the rest of the object is the old one's already. Unset: nothing to
  // check.
  std::function<FieldErrors(const Json& object, const Json& old)> validate_status;
  // Texts for Warning headers.
  std::function<std::vector<std::string>(const Json& object)> warnings;

  // How metadata.name is checked: upstream's texts of what is wrong, none when right.
  std::function<std::vector<std::string>(std::string_view name)> validate_name;

  // The value of a selectable field other than metadata.name/namespace. Only paths in
  // `selectable_fields` are asked for; an absent value is "".
  std::vector<std::string> selectable_fields;
  std::function<std::string(const Json& object, std::string_view path)> field;

  std::vector<Column> columns;  // empty: Name and Created At
  std::function<Json(const Json& object, const RowContext& context)> row;  // array of cells
  // The `conditions` of a row (finished pods); unset or an empty array: none.
  std::function<Json(const Json& object)> row_conditions;

  // Scale subresource: JSON pointers (/spec/replicas ...) when `scale` is among subresources. The
  // selector is a LabelSelector object or a map of labels.
  std::string scale_spec_replicas, scale_status_replicas, scale_selector;

  // Another served version of one stored resource (autoscaling/v1 of v2): null when this row is the
  // stored one. The hooks convert whole objects, apiVersion included.
  std::string storage_version;  // empty: this row's version
  std::string storage_group;    // with storage_version, when the group differs (events)
  std::function<Json(const Json& object)> to_storage, from_storage;

  Gvr gvr() const { return {group, version, resource}; }
  Gvk gvk() const { return {group, version, kind}; }
  std::string list_kind() const { return kind + "List"; }
  // "deployments.apps"
  std::string qualified() const { return group.empty() ? resource : resource + "." + group; }
  // "Deployment.apps": how a 422 names the kind.
  std::string qualified_kind() const { return group.empty() ? kind : kind + "." + group; }
  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  const Subresource* subresource(std::string_view name) const;
  bool is_storage() const { return storage_version.empty(); }

  // Set by the registry: index of the stored row's table (the same for all versions of one).
  std::size_t storage_index = 0;
  const ResourceDef* storage_def = nullptr;
};

class Registry {
 public:
  Registry();
  ~Registry();
  // The row's address stays valid. InternalError when the resource is there already.
  Result<const ResourceDef*> add(ResourceDef def);
  // Links versions to their stored rows; after the last add().
  Result<> seal();

  const ResourceDef* find(std::string_view group, std::string_view version,
                          std::string_view resource) const;
  const ResourceDef* find(const Gvr& gvr) const;
  const ResourceDef* find_kind(const Gvk& gvk) const;
  // Rows in the order of discovery (the order of add()).
  const std::vector<const ResourceDef*>& all() const;
  std::size_t storage_count() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Every built-in row (api/resources/all.cpp, the one list).
Result<std::unique_ptr<Registry>> make_registry();

}  // namespace moth::resources

#pragma once
// The registry: one ResourceDef row per served resource drives discovery, routes, verbs,
// subresources, decoding, defaults, validation, selectors, printing and storage. Adding a kind is
// adding a row. Built-in rows are there from start to end. Those of CustomResourceDefinitions come,
// change and go on the control thread; see Registry. Hooks are pure functions, called on any
// thread.
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
#include "api/schema/types.h"

namespace moth::schema {
struct DecodeReport;
}

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
  // Of PUT and PATCH to it, for those that answer with their parent's kind. Takes over into
  // `object`, the stored one, what `wanted` may change through this subresource. Unset: status and
  // finalize are known to the pipeline, other writes are refused.
  std::function<void(Json& object, const Json& wanted, WallTime now)> take = nullptr;
  // Checks such a write, instead of the row's validate_update (validate_status for status).
  std::function<FieldErrors(const Json& object, const Json& old)> validate = nullptr;
};

// What the definition of a custom resource says about one of its versions. Immutable, any thread;
// its types are valid as long as it lives.
class CustomKind {
 public:
  virtual ~CustomKind() = default;
  virtual schema::Type type() const = 0;
  virtual schema::Type list_type() const = 0;
  // Prunes what the schema does not name and checks the shape of metadata, in place of
  // schema::decode(). The report names what was pruned. BadRequest for metadata of a wrong shape.
  virtual Result<schema::DecodeReport> decode(Json& object) const = 0;
  // The whole schema as OpenAPI v3 publishes it, metadata included.
  virtual const Json& openapi() const = 0;
};

struct ResourceDef {
  std::string group, version, resource, singular, kind;
  bool namespaced = true;
  std::vector<std::string> short_names, categories;
  unsigned verbs = kAllVerbs;
  std::string type_name;  // the schema type, e.g. "core.v1.Pod"
  // Set for custom resources alone. Their versions are decoded, defaulted and validated each by its
  // own row's hooks; those of built-in kinds by the stored row's.
  std::shared_ptr<const CustomKind> custom;
  // Objects of an older resourceVersion pass through from_storage when read although this is the
  // stored row: they were written under another schema.
  std::uint64_t current_since = 0;
  // False: the version is stored but not served (custom resources); requests do not find it.
  bool served = true;
  std::string custom_list_kind;  // where it is not the kind with List behind
  // A text for a Warning header of every answer; empty: none.
  std::string deprecation;
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
  // A delete that names no propagationPolicy leaves the dependents (Jobs), with a warning.
  bool orphan_by_default = false;
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
  // Texts for Warning headers, of creates and, unless said otherwise, of updates that change more
  // than metadata and status.
  std::function<std::vector<std::string>(const Json& object)> warnings;
  bool warn_on_update = true;

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
  // selector is a LabelSelector object, a map of labels or a selector's text.
  std::string scale_spec_replicas, scale_status_replicas, scale_selector;

  // Another served version of one stored resource (autoscaling/v1 of v2): null when this row is the
  // stored one. The hooks convert whole objects, apiVersion included.
  std::string storage_version;  // empty: this row's version
  std::string storage_group;    // with storage_version, when the group differs (events)
  std::function<Json(const Json& object)> to_storage, from_storage;

  Gvr gvr() const { return {group, version, resource}; }
  Gvk gvk() const { return {group, version, kind}; }
  std::string list_kind() const {
    return custom_list_kind.empty() ? kind + "List" : custom_list_kind;
  }
  // "deployments.apps"
  std::string qualified() const { return group.empty() ? resource : resource + "." + group; }
  // "Deployment.apps": how a 422 names the kind.
  std::string qualified_kind() const { return group.empty() ? kind : kind + "." + group; }
  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  const Subresource* subresource(std::string_view name) const;
  bool is_storage() const { return storage_version.empty(); }
  // Empty when there is no such type. Valid as long as the row.
  schema::Type type() const;
  schema::Type list_type() const;

  // Set by the registry: index of the stored row's table (the same for all versions of one, and for
  // all rows that ever have this qualified name).
  std::size_t storage_index = 0;
  const ResourceDef* storage_def = nullptr;
};

// Reading is for any thread, changing for the control thread (or before other threads run).
//
// The rows at one time are a Snapshot, immutable, replaced as a whole. Pointers to built-in rows
// are valid as long as the registry. A pointer to a custom row is valid as long as somebody holds a
// snapshot that has it; on the control thread also until the next suspension. So who keeps one
// longer (a request, a watch, a loop with co_await in it) holds a snapshot, taken before the row
// was looked up.
class Registry {
 public:
  class Snapshot;
  using SnapshotPtr = std::shared_ptr<const Snapshot>;

  // All rows at one time in the order of discovery: built-in ones as they were added, then custom
  // ones by group, version (most stable first) and name. Keeps them valid while it lives.
  class Rows {
   public:
    explicit Rows(SnapshotPtr snapshot);
    std::vector<const ResourceDef*>::const_iterator begin() const;
    std::vector<const ResourceDef*>::const_iterator end() const;
    std::size_t size() const;
    const ResourceDef* front() const { return *begin(); }

   private:
    SnapshotPtr snapshot_;
  };

  Registry();
  ~Registry();
  // A built-in row; before seal(). InternalError when the resource is there already.
  Result<const ResourceDef*> add(ResourceDef def);
  // Links versions to their stored rows; after the last add().
  Result<> seal();

  // Puts `rows` in the place of all that `owner` (the name of a definition) brought before; none
  // takes them away. AlreadyExists, and nothing changes, when another owner or a built-in row has
  // one of the resources, or one of the kinds. Tells the listeners after it. Control.
  Result<> replace(const std::string& owner, std::vector<ResourceDef> rows);
  // Called after every replace(), on the control thread; must only take note.
  void on_change(std::function<void()> listener);

  SnapshotPtr snapshot() const;
  // Grows with every change: for what is derived from the rows.
  std::uint64_t generation() const;
  const ResourceDef* find(std::string_view group, std::string_view version,
                          std::string_view resource) const;
  const ResourceDef* find(const Gvr& gvr) const;
  const ResourceDef* find_kind(const Gvk& gvk) const;
  // The stored row of a qualified name ("deployments.apps").
  const ResourceDef* find_stored(std::string_view qualified) const;
  Rows all() const;
  std::size_t storage_count() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Every built-in row (api/resources/all.cpp, the one list).
Result<std::unique_ptr<Registry>> make_registry();

}  // namespace moth::resources

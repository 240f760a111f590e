#include "daemon/store/store.h"

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "daemon/store/engine.h"

namespace moth::store {
namespace {

// The object's key; an error for what is no object with a name, which the pipeline never passes on.
Result<Key> key_of(const Json& object) {
  const Json* metadata = find_member(object, "metadata");
  if (!metadata || string_or(*metadata, "name").empty()) {
    return fail(Error::internal("an object without metadata.name cannot be stored"));
  }
  return Key{string_or(*metadata, "namespace"), string_or(*metadata, "name")};
}

// The newest version of the key when it is `expected`.
Result<ObjectPtr> expect(const Table& table, const resources::ResourceDef& def, const Key& key,
                         const ObjectPtr& expected) {
  ObjectPtr newest = table.latest(key.ns, key.name);
  if (!newest) return fail(Error::not_found(def.qualified(), key.name));
  if (!expected || newest->meta().resource_version != expected->meta().resource_version) {
    return fail(Error::modified(def.qualified(), key.name));
  }
  return newest;
}

}  // namespace

Store::Store(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
Store::~Store() {
  engine_->abandon();
}

Task<Result<std::unique_ptr<Store>>> Store::open(StoreOptions options) {
  auto engine = std::make_shared<Engine>(std::move(options));
  MOTH_CO_TRY(co_await Engine::start(engine));
  co_return std::unique_ptr<Store>(new Store(engine));
}

Task<Result<>> Store::close() {
  return Engine::close(engine_);
}
Task<Result<>> Store::flush() {
  return Engine::flush(engine_);
}
Task<Result<>> Store::backup(std::string path) {
  return Engine::backup(engine_, std::move(path));
}

ObjectPtr Store::get(const resources::ResourceDef& def, std::string_view ns,
                     std::string_view name) const {
  const Table* table = engine_->find_table(def);
  return table ? table->get(ns, name) : nullptr;
}

ObjectPtr Store::latest(const resources::ResourceDef& def, std::string_view ns,
                        std::string_view name) const {
  const Table* table = engine_->find_table(def);
  return table ? table->latest(ns, name) : nullptr;
}

server::ListResult Store::list(const resources::ResourceDef& def, std::string_view ns) const {
  const Table* table = engine_->find_table(def);
  return {table ? table->list(ns) : std::vector<ObjectPtr>{}, revision()};
}

Result<server::ListResult> Store::list_at(const resources::ResourceDef& def, std::string_view ns,
                                          std::uint64_t revision) const {
  MOTH_ASSIGN(auto objects, engine_->table(def).list_at(ns, revision));
  return server::ListResult{std::move(objects), revision};
}

std::size_t Store::count(const resources::ResourceDef& def) const {
  const Table* table = engine_->find_table(def);
  return table ? table->size() : 0;
}

std::uint64_t Store::revision() const {
  return engine_->revision();
}

Task<bool> Store::reach(std::uint64_t revision, MonoTime deadline) {
  return engine_->hub().reach(revision, deadline);
}

Result<server::StagedWritePtr> Store::stage_create(const resources::ResourceDef& def, Json object,
                                                   resources::Durability durability) {
  if (auto refusal = engine_->refusal()) return fail(*std::move(refusal));
  MOTH_ASSIGN(Key key, key_of(object));
  Table& table = engine_->table(def);
  if (table.latest(key.ns, key.name)) {
    return fail(Error::already_exists(def.qualified(), key.name));
  }
  return engine_->stage(table, server::EventType::kAdded, std::move(object), durability);
}

namespace {

bool same_but_metadata(const Json& a, const Json& b) {
  if (a.size() != b.size()) return false;
  for (auto it = a.begin(); it != a.end(); ++it) {
    if (it.key() == "metadata") continue;
    auto other = b.find(it.key());
    if (other == b.end() || *other != *it) return false;
  }
  return true;
}

}  // namespace

Result<server::StagedWritePtr> Store::stage_update(const resources::ResourceDef& def, Json object,
                                                   const ObjectPtr& expected,
                                                   resources::Durability durability) {
  if (auto refusal = engine_->refusal()) return fail(*std::move(refusal));
  MOTH_ASSIGN(Key key, key_of(object));
  Table& table = engine_->table(def);
  MOTH_ASSIGN(ObjectPtr newest, expect(table, def, key, expected));
  object["metadata"]["resourceVersion"] = std::to_string(newest->meta().resource_version);
  // The texts are canonical, so that equal objects have equal texts. Most writes change something
  // that is seen without making one.
  if (same_but_metadata(object, *newest->dom()) && dump_json(object) == newest->text()) {
    return engine_->stage_nothing(table, std::move(newest), durability);
  }
  return engine_->stage(table, server::EventType::kModified, std::move(object), durability);
}

Result<server::StagedWritePtr> Store::stage_delete(const resources::ResourceDef& def,
                                                   const ObjectPtr& expected,
                                                   resources::Durability durability) {
  if (auto refusal = engine_->refusal()) return fail(*std::move(refusal));
  if (!expected) return fail(Error::internal("a delete without the object to be deleted"));
  Table& table = engine_->table(def);
  MOTH_ASSIGN(ObjectPtr newest, expect(table, def, {expected->ns(), expected->name()}, expected));
  return engine_->stage(table, server::EventType::kDeleted, newest->parse(), durability);
}

Result<std::unique_ptr<server::StoreWatch>> Store::watch(const resources::ResourceDef& def,
                                                         std::uint64_t after,
                                                         server::WatchInterest interest) {
  return engine_->hub().watch(engine_->table(def), after, std::move(interest));
}

void Store::subscribe(const resources::ResourceDef& def, Listener listener) {
  engine_->table(def).listeners().push_back(std::move(listener));
}

const Error* Store::failure() const {
  return engine_->failure();
}

}  // namespace moth::store

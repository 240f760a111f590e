#include "daemon/controllers/customresourcedefinition/customresourcedefinition_controller.h"

#include <map>
#include <set>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/resources/apiextensions_v1/custom_rows.h"
#include "api/resources/apiextensions_v1/rows.h"
#include "api/resources/conditions.h"
#include "daemon/controllers/customresourcedefinition/definition_plan.h"

namespace moth::controllers {
namespace {

using resources::ResourceDef;

const Gvr kDefinitions{"apiextensions.k8s.io", "v1", "customresourcedefinitions"};

// Puts the rows of a definition into the registry.
Result<> serve(resources::Registry& registry, const Object& object, const Json& definition,
               std::uint64_t revision) {
  resources::CustomRowOptions options;
  options.terminating = object.meta().deletion_time.has_value();
  // The first generation is the only schema that its objects have seen.
  if (object.meta().generation > 1) options.current_since = revision + 1;
  MOTH_ASSIGN(auto rows, resources::custom_rows(served_definition(definition), options));
  return registry.replace(object.name(), std::move(rows));
}

class DefinitionController final : public Controller {
 public:
  DefinitionController(ControllerContext context, resources::Registry& registry,
                       RevisionSource revision)
      : context_(context), registry_(registry), revision_(std::move(revision)) {}

  std::string_view name() const override { return "customresourcedefinition"; }
  // One at a time: they compete for names.
  int workers() const override { return 1; }

  void subscribe(WorkQueue& queue) override {
    queue_ = &queue;
    watch_own(context_.subscriptions, kDefinitions, queue);
    registry_.on_change([this] { watch_objects(); });
    watch_objects();
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr object = context_.reader.get(kDefinitions, "", key.name);
    if (!object) {
      MOTH_CO_TRY(registry_.replace(key.name, {}));
      served_.erase(key.name);
      wake_refused(key.name);
      co_return Requeue{};
    }
    if (object->meta().deletion_time) co_return co_await finish(object);
    co_return co_await establish(object);
  }

 private:
  // The end of an object may be the last thing that a terminating definition waits for.
  void watch_objects() {
    for (const ResourceDef* row : registry_.all()) {
      std::string name = row->qualified();
      if (!row->custom || !row->is_storage() || !watched_.insert(name).second) continue;
      context_.subscriptions.subscribe(row->gvr(),
                                       [this, name](const client::ObjectReader::Change& change) {
                                         if (!change.object && terminating_.contains(name))
                                           queue_->add({"", name});
                                       });
    }
  }

  // Definitions that could not have their names may have them now.
  void wake_refused(const std::string& gone) {
    for (const ObjectPtr& other : context_.reader.list(kDefinitions)) {
      if (other->name() == gone) continue;
      if (!resources::condition_is_true(other->parse(), "NamesAccepted"))
        queue_->add({"", other->name()});
    }
  }

  Task<Result<Requeue>> establish(ObjectPtr object) {
    Json definition = object->parse();
    std::vector<Json> others;
    for (const ObjectPtr& other : context_.reader.list(kDefinitions)) {
      if (other->name() != object->name()) others.push_back(other->parse());
    }
    AcceptedNames names = accept_names(definition, others);
    bool changed = set_established(definition, names, context_.clock.wall());
    if (resources::condition_is_true(definition, "Established")) {
      // Before the condition can be seen, so that who waits for it can go on at once.
      MOTH_CO_ASSIGN(bool possible, register_rows(*object, definition));
      if (!possible) {
        definition = object->parse();
        names.reason = "KindConflict";
        names.message = "a resource or kind of this name is built in";
        changed = set_established(definition, names, context_.clock.wall());
      }
    }
    if (changed) MOTH_CO_TRY(co_await write_status(*object, std::move(definition)));
    co_return Requeue{};
  }

  // False when a built-in kind is in the way.
  Result<bool> register_rows(const Object& object, const Json& definition) {
    Json names = definition["status"].value("acceptedNames", Json::object());
    Served now{object.meta().generation, object.meta().deletion_time.has_value(), names.dump(),
               object.uid()};
    auto before = served_.find(object.name());
    if (before != served_.end() && before->second == now) return true;
    auto done = serve(registry_, object, definition, revision_());
    if (!done && done.error().reason == Reason::kAlreadyExists) return false;
    if (!done) return fail(std::move(done).error());
    served_[object.name()] = now;
    return true;
  }

  Task<Result<>> write_status(const Object& object, Json definition) {
    client::WriteOptions options;
    options.subresource = "status";
    auto written = co_await context_.client.update(kDefinitions, "", object.name(),
                                                   std::move(definition), options);
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Result<>{};
  }

  Task<Result<Requeue>> finish(ObjectPtr object) {
    const std::string& name = object->name();
    terminating_.insert(name);
    Json definition = object->parse();
    bool established = resources::condition_is_true(definition, "Established");
    if (established) MOTH_CO_TRY(register_rows(*object, definition));
    auto rows = registry_.snapshot();  // keeps the row over every wait
    const ResourceDef* row = registry_.find_stored(name);
    bool ours = row && row->custom;
    if (ours) MOTH_CO_TRY(co_await remove_objects(*row));
    bool done = !ours || context_.reader.list(row->gvr()).empty();
    // The write below needs the definition as it is now.
    object = context_.reader.get(kDefinitions, "", name);
    if (!object) co_return Requeue{};
    definition = object->parse();
    if (set_terminating(definition, done, context_.clock.wall()))
      MOTH_CO_TRY(co_await write_status(*object, std::move(definition)));
    if (!done) co_return Requeue{};  // the last object's end brings the key back
    MOTH_CO_TRY(co_await release(*object));
    terminating_.erase(name);
    co_return Requeue{};
  }

  Task<Result<>> remove_objects(const ResourceDef& row) {
    for (const ObjectPtr& instance : context_.reader.list(row.gvr())) {
      if (instance->meta().deletion_time) continue;
      client::DeleteOptions options;
      options.propagation_policy = "Background";
      options.precondition_uid = instance->uid();
      auto removed =
          co_await context_.client.remove(row.gvr(), instance->ns(), instance->name(), options);
      if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    }
    co_return Result<>{};
  }

  Task<Result<>> release(const Object& object) {
    Json kept = Json::array();
    for (const std::string& finalizer : object.meta().finalizers) {
      if (finalizer != resources::kCustomResourceCleanup) kept.push_back(finalizer);
    }
    Json patch = {
        {"metadata",
         {{"uid", object.uid()}, {"finalizers", kept.empty() ? Json(nullptr) : std::move(kept)}}}};
    auto written = co_await context_.client.patch(kDefinitions, "", object.name(),
                                                  client::PatchType::kMerge, std::move(patch));
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Result<>{};
  }

  // What the registry has of a definition.
  struct Served {
    std::int64_t generation = 0;
    bool terminating = false;
    std::string names, uid;
    bool operator==(const Served&) const = default;
  };

  ControllerContext context_;
  resources::Registry& registry_;
  RevisionSource revision_;
  WorkQueue* queue_ = nullptr;
  std::map<std::string, Served> served_;
  std::set<std::string> watched_;      // qualified names
  std::set<std::string> terminating_;  // names of definitions
};

}  // namespace

std::unique_ptr<Controller> make_customresourcedefinition_controller(ControllerContext context,
                                                                     resources::Registry& registry,
                                                                     RevisionSource revision) {
  return std::make_unique<DefinitionController>(context, registry, std::move(revision));
}

void serve_definitions(const client::ObjectReader& reader, resources::Registry& registry,
                       std::uint64_t revision) {
  for (const ObjectPtr& object : reader.list(kDefinitions)) {
    Json definition = object->parse();
    if (!resources::condition_is_true(definition, "Established")) continue;
    if (auto served = serve(registry, *object, definition, revision); !served) {
      log::error("a custom resource definition cannot be served",
                 log::field("definition", object->name()),
                 log::field("error", served.error().message));
    }
  }
}

}  // namespace moth::controllers

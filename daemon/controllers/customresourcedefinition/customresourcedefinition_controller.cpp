#include "daemon/controllers/customresourcedefinition/customresourcedefinition_controller.h"

#include <map>
#include <set>

#include "api/base/executors.h"
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

// Objects that were written before now may have been written under another schema. The first
// generation is the only one that its objects have seen.
void set_current_since(std::vector<ResourceDef>& rows, const Object& object,
                       std::uint64_t revision) {
  if (object.meta().generation <= 1) return;
  for (ResourceDef& row : rows) {
    if (row.is_storage() && row.current_since == 0) row.current_since = revision + 1;
  }
}

resources::CustomRowOptions options_of(const Object& object) {
  resources::CustomRowOptions options;
  options.terminating = object.meta().deletion_time.has_value();
  return options;
}

class DefinitionController final : public Controller {
 public:
  DefinitionController(ControllerContext context, resources::Registry& registry,
                       RevisionSource revision, asio::any_io_executor background)
      : context_(context),
        registry_(registry),
        revision_(std::move(revision)),
        background_(std::move(background)) {}

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
  using SlimPtr = std::shared_ptr<const Json>;
  using Version = std::pair<std::string, std::uint64_t>;  // uid, resourceVersion
  static Version version_of(const Object& object) {
    return {object.uid(), object.meta().resource_version};
  }
  // slim_definition() of a version.
  struct Known {
    Version version;
    SlimPtr slim;
  };
  // What the registry has of a definition.
  struct Served {
    std::int64_t generation = 0;
    std::string names, uid;
    bool operator==(const Served&) const = default;
  };

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
    names_.erase(gone);
    for (const ObjectPtr& other : context_.reader.list(kDefinitions)) {
      auto known = names_.find(other->name());
      bool accepted = known != names_.end() && known->second.version == version_of(*other) &&
                      resources::condition_is_true(*known->second.slim, "NamesAccepted");
      if (!accepted) queue_->add({"", other->name()});
    }
  }

  // On the executor for what takes long; right here when there is none.
  template <class F>
  Task<std::invoke_result_t<F&>> aside(F function) {
    if (!background_) co_return function();
    co_return co_await call_on(background_, std::move(function));
  }

  // What the names of all definitions but `own` are, which are to be read once a version.
  Task<std::vector<SlimPtr>> names_of_others(std::string own) {
    std::vector<ObjectPtr> unknown;
    for (const ObjectPtr& other : context_.reader.list(kDefinitions)) {
      auto known = names_.find(other->name());
      bool fresh = known != names_.end() && known->second.version == version_of(*other);
      if (other->name() != own && !fresh) unknown.push_back(other);
    }
    if (!unknown.empty()) {
      std::vector<SlimPtr> read = co_await aside([&unknown] {
        std::vector<SlimPtr> all;
        for (const ObjectPtr& other : unknown)
          all.push_back(std::make_shared<const Json>(slim_definition(other->parse())));
        return all;
      });
      for (std::size_t i = 0; i < unknown.size(); ++i)
        names_[unknown[i]->name()] = {version_of(*unknown[i]), read[i]};
    }
    std::vector<SlimPtr> others;
    for (const auto& [name, known] : names_) {
      if (name != own && context_.reader.get(kDefinitions, "", name)) others.push_back(known.slim);
    }
    co_return others;
  }

  // All that is to be computed about one definition: pure, and long when it is large.
  struct Work {
    Json slim;
    bool changed = false;
    Served served;
    std::optional<std::vector<ResourceDef>> rows;  // to be put into the registry
    std::optional<Error> error;
  };
  static Work work_out(const Object& object, const std::vector<SlimPtr>& others,
                       const Served* before, WallTime now) {
    Json definition = object.parse();
    Work work;
    work.slim = slim_definition(definition);
    AcceptedNames names = accept_names(work.slim, others);
    work.changed = set_established(work.slim, names, now);
    if (!resources::condition_is_true(work.slim, "Established")) return work;
    work.served = Served{object.meta().generation, names.names.dump(), object.uid()};
    if (before && *before == work.served) return work;
    serve_accepted_names(definition, work.slim);
    auto rows = resources::custom_rows(definition, options_of(object));
    if (rows) {
      work.rows = *std::move(rows);
    } else {
      work.error = std::move(rows).error();
    }
    return work;
  }

  Task<Result<Requeue>> establish(ObjectPtr object) {
    std::vector<SlimPtr> others = co_await names_of_others(object->name());
    std::optional<Served> before;
    if (auto it = served_.find(object->name()); it != served_.end()) before = it->second;
    Work work = co_await aside([&, now = context_.clock.wall()] {
      return work_out(*object, others, before ? &*before : nullptr, now);
    });
    if (work.error) co_return fail(*std::move(work.error));
    // What was changed meanwhile has put the key back.
    ObjectPtr newest = context_.reader.get(kDefinitions, "", object->name());
    if (!newest || version_of(*newest) != version_of(*object)) co_return Requeue{};
    if (work.rows) {
      // Before the condition can be seen, so that who waits for it can go on at once.
      set_current_since(*work.rows, *object, revision_());
      auto done = registry_.replace(object->name(), *std::move(work.rows));
      if (done) {
        served_[object->name()] = work.served;
      } else if (done.error().reason == Reason::kAlreadyExists) {
        MOTH_CO_ASSIGN(work, co_await refuse(object, others));
      } else {
        co_return fail(std::move(done).error());
      }
    }
    if (work.changed) MOTH_CO_TRY(co_await write_status(*object, std::move(work.slim)));
    co_return Requeue{};
  }

  // A built-in kind is in the way.
  Task<Result<Work>> refuse(ObjectPtr object, std::vector<SlimPtr> others) {
    co_return co_await aside([&, now = context_.clock.wall()]() -> Result<Work> {
      Work work;
      work.slim = slim_definition(object->parse());
      AcceptedNames names = accept_names(work.slim, others);
      names.reason = "KindConflict";
      names.message = "a resource or kind of this name is built in";
      work.changed = set_established(work.slim, names, now);
      return work;
    });
  }

  // From now on nothing new is made. Without a look at the schema, which changes no more.
  Result<> serve_as_terminating(const std::string& name) {
    std::vector<ResourceDef> rows;
    bool creates = false;
    for (const ResourceDef* row : registry_.all()) {
      if (!row->custom || row->qualified() != name) continue;
      creates = creates || (row->verbs & resources::kCreate) != 0;
      rows.push_back(*row);
      rows.back().verbs &= ~static_cast<unsigned>(resources::kCreate);
    }
    return creates ? registry_.replace(name, std::move(rows)) : Result<>{};
  }

  // `slim` has the status that is wanted.
  Task<Result<>> write_status(const Object& object, Json slim) {
    client::WriteOptions options;
    options.subresource = "status";
    // A merge patch takes away what it says is null.
    for (const char* name : {"shortNames", "categories"})
      slim["status"]["acceptedNames"].emplace(name, nullptr);
    Json patch = {{"metadata",
                   {{"uid", object.uid()},
                    {"resourceVersion", std::to_string(object.meta().resource_version)}}},
                  {"status", std::move(slim["status"])}};
    auto written = co_await context_.client.patch(
        kDefinitions, "", object.name(), client::PatchType::kMerge, std::move(patch), options);
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Result<>{};
  }

  Task<Result<Requeue>> finish(ObjectPtr object) {
    const std::string name = object->name();
    terminating_.insert(name);
    MOTH_CO_TRY(serve_as_terminating(name));
    auto rows = registry_.snapshot();  // keeps the row over every wait
    const ResourceDef* row = registry_.find_stored(name);
    bool ours = row && row->custom;
    if (ours) MOTH_CO_TRY(co_await remove_objects(*row));
    bool done = !ours || context_.reader.list(row->gvr()).empty();
    // The write below needs the definition as it is now.
    object = context_.reader.get(kDefinitions, "", name);
    if (!object) co_return Requeue{};
    // What only waits for the finalizer of this controller is gone before anybody could read it.
    bool last = done && object->meta().finalizers.size() == 1;
    if (!last) {
      Json slim = co_await aside([&object] { return slim_definition(object->parse()); });
      if (set_terminating(slim, done, context_.clock.wall()))
        MOTH_CO_TRY(co_await write_status(*object, std::move(slim)));
    }
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

  ControllerContext context_;
  resources::Registry& registry_;
  RevisionSource revision_;
  asio::any_io_executor background_;
  WorkQueue* queue_ = nullptr;
  std::map<std::string, Served> served_;
  std::map<std::string, Known> names_;
  std::set<std::string> watched_;      // qualified names
  std::set<std::string> terminating_;  // names of definitions
};

}  // namespace

std::unique_ptr<Controller> make_customresourcedefinition_controller(
    ControllerContext context, resources::Registry& registry, RevisionSource revision,
    asio::any_io_executor background) {
  return std::make_unique<DefinitionController>(context, registry, std::move(revision),
                                                std::move(background));
}

void serve_definitions(const client::ObjectReader& reader, resources::Registry& registry,
                       std::uint64_t revision) {
  for (const ObjectPtr& object : reader.list(kDefinitions)) {
    Json definition = object->parse();
    if (!resources::condition_is_true(definition, "Established")) continue;
    serve_accepted_names(definition, definition);
    auto rows = resources::custom_rows(definition, options_of(*object));
    Result<> served;
    if (rows) {
      set_current_since(*rows, *object, revision);
      served = registry.replace(object->name(), *std::move(rows));
    } else {
      served = fail(std::move(rows).error());
    }
    if (!served) {
      log::error("a custom resource definition cannot be served",
                 log::field("definition", object->name()),
                 log::field("error", served.error().message));
    }
  }
}

}  // namespace moth::controllers

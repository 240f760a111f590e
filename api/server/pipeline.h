#pragma once
// Pipeline: every read and write of objects, whoever asks: HTTP clients and the daemon's own
// controllers alike. decode > default > validate > admit > store. Control thread.
//
// Each write works on the newest staged version without suspending in between, so a patch without
// a resourceVersion never conflicts.
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/client/object_client.h"
#include "api/machinery/names.h"
#include "api/resources/registry.h"
#include "api/schema/patch_schema.h"
#include "api/server/admission/admission.h"
#include "api/server/request_context.h"
#include "api/server/storage.h"

namespace moth::server {

// A resource, an object of it, or a subresource of that.
struct Target {
  const resources::ResourceDef* def = nullptr;
  std::string ns, name, subresource;
};

struct WriteResult {
  ObjectPtr object;      // in the version asked for
  bool created = false;  // 201
};

struct DeleteResult {
  ObjectPtr object;     // what was deleted or is terminating
  bool removed = true;  // false: finalizers or a grace period hold it
};

class Pipeline {
 public:
  Pipeline(resources::Registry& registry, Storage& storage, Clock& clock, RandomSource random,
           std::vector<std::unique_ptr<Admission>> admission);
  ~Pipeline();

  Result<ObjectPtr> get(const Target& target) const;
  // All objects of the resource, in the stored version (see to_version()).
  ListResult list(const Target& target) const;
  // The same as of an earlier revision; Expired when history does not reach back that far.
  Result<ListResult> list_at(const Target& target, std::uint64_t revision) const;

  // `object` as the client sent it; the body's own duplicates are reported by the caller.
  Task<Result<WriteResult>> create(Target target, Json object, RequestContext& context);
  Task<Result<WriteResult>> update(Target target, Json object, RequestContext& context);
  Task<Result<WriteResult>> patch(Target target, client::PatchType type, Json patch,
                                  RequestContext& context);
  Task<Result<DeleteResult>> remove(Target target, client::DeleteOptions options,
                                    RequestContext& context);

  // Kinds that are answered instead of stored (reviews, token requests): what a create of
  // `resource` answers ("tokenreviews.authentication.k8s.io", "serviceaccounts/token"). `body` is
  // the row of what is sent, by which it is decoded, defaulted and validated before. The
  // context outlives the call. To be called before the first request.
  using Compute =
      std::function<Task<Result<Json>>(Target target, Json object, RequestContext& context)>;
  void compute_on_create(std::string resource, resources::ResourceDef body, Compute compute);
  bool computes(const Target& target) const;
  // The objects of a kind that is computed when it is read (componentstatuses), by name. To be
  // called before the first request.
  using ComputeObjects = std::function<std::vector<ObjectPtr>()>;
  void compute_on_read(std::string resource, ComputeObjects objects) {
    readable_[std::move(resource)] = std::move(objects);
  }

  // Webhooks, asked about every write that concerns them. Without one set, nothing suspends. To be
  // called before the first request; `remote` outlives the pipeline's last call.
  void use_remote(RemoteAdmission& remote) { remote_ = &remote; }
  // Asks whether a stream to the object (exec, attach, portforward, proxy) may be opened.
  Task<Result<>> admit_connect(Target target, Json options, RequestContext& context);

  // Deletes a pod if its PodDisruptionBudget allows it (policy/v1 Eviction, k8s-behaviours 16.3).
  // TooManyRequests with the cause DisruptionBudget when it does not.
  Task<Result<>> evict(Target pod, Json eviction, RequestContext& context);

  // Assigns a pod to a node, once: Conflict when it has one already.
  Task<Result<WriteResult>> bind(Target pod, std::string node, RequestContext& context);

  resources::Registry& registry() const { return registry_; }
  Storage& storage() { return storage_; }
  Clock& clock() { return clock_; }

 private:
  struct Prepared;
  Result<Json> decode(const resources::ResourceDef& def, Json object,
                      RequestContext& context) const;
  // What webhooks agreed to.
  struct Approval;  // pipeline_approval.h
  Result<> admit(const Target& target, Operation operation, Json& object, const Json* old,
                 RequestContext& context, Approval* approval = nullptr);
  Result<> validate(const resources::ResourceDef& def, const Json& object, const Json* old) const;
  Result<> validate_change(const resources::ResourceDef& def, std::string_view subresource,
                           const Json& object, const Json& old) const;
  struct Computed {
    resources::ResourceDef body;
    Compute answer;
  };
  const Computed* computed(const Target& target) const;
  const ComputeObjects* readable(const resources::ResourceDef& def) const;
  Task<Result<WriteResult>> compute(const Computed& kind, Target target, Json object,
                                    RequestContext& context);
  Result<StagedWritePtr> stage_new(const Target& target, Json object, RequestContext& context,
                                   Approval* approval = nullptr);
  // `parsed`: what `current` holds, when the caller has it already.
  Result<StagedWritePtr> stage_changed(const Target& target, const ObjectPtr& current, Json object,
                                       RequestContext& context, bool& removed,
                                       Approval* approval = nullptr, const Json* parsed = nullptr);
  // With `current`, its managedFields are read from there and need not be in `old`.
  Result<Json> merge_for_update(const Target& target, const Json& old, Json object,
                                RequestContext& context, const Object* current = nullptr) const;
  // `edit` gets the object without managedFields unless it is said to be about them.
  Task<Result<WriteResult>> change(Target target,
                                   std::function<Result<Json>(const Json& current)> edit,
                                   RequestContext& context, bool edits_managed = false);
  // pipeline_apply.cpp
  Task<Result<WriteResult>> apply_patch(Target target, Json config, RequestContext& context);
  Task<Result<WriteResult>> apply_scale(Target target, Json scale, RequestContext& context);
  Result<StagedWritePtr> stage_remove(const Target& target, const ObjectPtr& current,
                                      const client::DeleteOptions& options, RequestContext& context,
                                      bool& removed);

  // pipeline_remote.cpp
  bool concerns_remote(const Target& target, Operation operation, RequestContext& context) const;
  Result<> rehearse(const AdmissionRequest& request, Json& object, bool mutate);
  Task<Result<Json>> ask_remote(const Target& target, Operation operation, Json object,
                                const Json* old, RequestContext& context);
  Result<Json> normalise(const Target& target, Json object, const Json* old,
                         RequestContext& context) const;
  Task<Result<StagedWritePtr>> stage_new_remotely(const Target& target, Json object,
                                                  RequestContext& context);
  Task<Result<WriteResult>> change_remotely(Target target,
                                            std::function<Result<Json>(const Json& current)> edit,
                                            RequestContext& context);
  Task<Result<>> ask_about_delete(const Target& target, RequestContext& context);
  // pipeline_evict.cpp
  struct BudgetCheck;
  Result<BudgetCheck> check_budget(const Object& pod, const client::DeleteOptions& options);
  Result<StagedWritePtr> stage_eviction(const Target& pod, client::DeleteOptions options,
                                        RequestContext& context, StagedWritePtr& budget);

  resources::Registry& registry_;
  Storage& storage_;
  Clock& clock_;
  RandomSource random_;
  schema::PatchSchemas patch_schemas_;
  std::vector<std::unique_ptr<Admission>> admission_;
  RemoteAdmission* remote_ = nullptr;
  std::map<std::string, Computed> computed_;
  std::map<std::string, ComputeObjects> readable_;
};

// A stored object in the version of `def`; the same pointer when that is the stored version. Any
// thread.
ObjectPtr to_version(const resources::ResourceDef& def, const ObjectPtr& stored);

}  // namespace moth::server

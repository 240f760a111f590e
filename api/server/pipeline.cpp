#include "api/server/pipeline.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/patch_json.h"
#include "api/machinery/patch_merge.h"
#include "api/machinery/patch_strategic.h"
#include "api/resources/conditions.h"
#include "api/schema/decode.h"
#include "api/schema/types.h"
#include "api/server/deletion.h"
#include "api/server/meta_rules.h"
#include "api/server/ownership.h"
#include "api/server/pipeline_approval.h"
#include "api/server/scale.h"

namespace moth::server {

using resources::Durability;
using resources::ResourceDef;

namespace {

// A clash of a generated name is tried again with a new one [upstream: 8 times].
constexpr int kGenerateNameTries = 8;

Durability durability_of(const ResourceDef& def, std::string_view subresource, const Json& object) {
  if (def.rebuilt && def.rebuilt(object)) return Durability::kLazy;
  return subresource == "status" && def.durability == Durability::kDurable ? def.status_durability
                                                                           : def.durability;
}

// The row whose hooks judge an object. All versions of a custom resource have one stored form, so
// each version's own row can judge it [apiextensions: validated in the version of the request].
const ResourceDef& stored(const ResourceDef& def) {
  return def.custom ? def : *def.storage_def;
}

Json to_stored(const ResourceDef& def, Json object) {
  return def.is_storage() ? std::move(object) : def.to_storage(object);
}

Json from_stored(const ResourceDef& def, Json object) {
  bool as_is = def.is_storage() && def.current_since == 0;
  return as_is ? std::move(object) : def.from_storage(object);
}

std::string object_name(const Json& object) {
  const Json* name = find_path(object, "metadata", "name");
  return name && name->is_string() ? name->get<std::string>() : "";
}

std::string object_meta(const Json& object, std::string_view field) {
  const Json* metadata = find_member(object, "metadata");
  return metadata ? string_or(*metadata, field) : "";
}

// Null when there are none. They are judged apart from the object.
Json take_managed_fields(Json& object) {
  auto metadata = object.is_object() ? object.find("metadata") : object.end();
  if (metadata == object.end() || !metadata->is_object()) return nullptr;
  auto managed = metadata->find("managedFields");
  if (managed == metadata->end()) return nullptr;
  Json taken = std::move(*managed);
  metadata->erase(managed);
  return taken;
}

Result<> check_name(const Json& object, const std::string& wanted) {
  std::string name = object_name(object);
  if (name.empty() || name == wanted) return {};
  return fail(Error::bad_request(fmt::format(
      "the name of the object ({}) does not match the name on the URL ({})", name, wanted)));
}

Result<> check_kind(const ResourceDef& def, const Json& object) {
  std::string kind = string_or(object, "kind");
  std::string api_version = string_or(object, "apiVersion");
  if (kind != def.kind && !kind.empty()) {
    return fail(Error::bad_request(fmt::format("{} in version \"{}\" cannot be handled as a {}",
                                               kind, api_version, def.kind)));
  }
  if (api_version != def.api_version() && !api_version.empty()) {
    return fail(Error::bad_request(
        fmt::format("the API version in the data ({}) does not match the expected API version ({})",
                    api_version, def.api_version())));
  }
  return {};
}

// A finalizer decides for a delete that says nothing.
void orphan_unless_decided(const Meta& meta, client::DeleteOptions& options,
                           RequestContext& context) {
  for (const std::string& finalizer : meta.finalizers) {
    if (finalizer == "orphan" || finalizer == "foregroundDeletion") return;
  }
  options.propagation_policy = "Orphan";
  std::string warning =
      "child pods are preserved by default when jobs are deleted; set "
      "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
      "this warning";
  // Once for a whole collection.
  auto& warnings = context.warnings;
  if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end()) {
    warnings.push_back(std::move(warning));
  }
}

// What a writer of `subresource` may change; everything else stays as in `old`.
Result<Json> keep_rest(const ResourceDef& def, std::string_view subresource, const Json& old,
                       Json object, WallTime now) {
  if (subresource.empty()) {
    if (def.subresource("status")) {
      if (const Json* status = find_member(old, "status")) {
        object["status"] = *status;
      } else {
        object.erase("status");
      }
    }
    return object;
  }
  Json result = old;
  const resources::Subresource* sub = def.subresource(subresource);
  if (sub && sub->take) {
    sub->take(result, object, now);
    return result;
  }
  if (subresource == "status") {
    if (const Json* status = find_member(object, "status")) {
      result["status"] = *status;
    } else {
      result.erase("status");
    }
    for (const char* field : {"labels", "annotations"}) {
      if (const Json* value = find_path(object, "metadata", field))
        result["metadata"][field] = *value;
    }
    return result;
  }
  if (subresource == "finalize") {
    const Json* finalizers = find_path(object, "spec", "finalizers");
    result["spec"]["finalizers"] = finalizers ? *finalizers : Json::array();
    return result;
  }
  return fail(Error::of(
      Reason::kMethodNotAllowed,
      fmt::format("the {} subresource of {} cannot be written yet", subresource, def.qualified())));
}

}  // namespace

ObjectPtr to_version(const ResourceDef& def, const ObjectPtr& object) {
  if (!object) return object;
  // A deletion's last state counts as old as what was deleted, but its revision hides that.
  if (def.is_storage() && object->meta().resource_version >= def.current_since) return object;
  return Object::from_json(def.from_storage(object->parse()));
}

Pipeline::Pipeline(resources::Registry& registry, Storage& storage, Clock& clock,
                   RandomSource random, std::vector<std::unique_ptr<Admission>> admission)
    : registry_(registry),
      storage_(storage),
      clock_(clock),
      random_(std::move(random)),
      admission_(std::move(admission)) {}

Pipeline::~Pipeline() = default;

// The objects of a kind that is not stored; null for the others.
const Pipeline::ComputeObjects* Pipeline::readable(const ResourceDef& def) const {
  if (def.durability != Durability::kVirtual) return nullptr;
  auto found = readable_.find(def.qualified());
  return found == readable_.end() ? nullptr : &found->second;
}

Result<ObjectPtr> Pipeline::get(const Target& target) const {
  ObjectPtr object;
  if (const ComputeObjects* objects = readable(*target.def)) {
    for (ObjectPtr& candidate : (*objects)()) {
      if (candidate->name() == target.name) object = std::move(candidate);
    }
  } else {
    object = storage_.get(*target.def, target.ns, target.name);
  }
  if (!object) return fail(Error::not_found(target.def->qualified(), target.name));
  object = to_version(*target.def, object);
  if (target.subresource == "scale") {
    auto scale = read_scale(*target.def, object->parse());
    if (!scale) return fail(scale.error());
    return Object::from_json(*scale);
  }
  return object;
}

ListResult Pipeline::list(const Target& target) const {
  if (const ComputeObjects* objects = readable(*target.def)) {
    return {(*objects)(), storage_.revision()};
  }
  return storage_.list(*target.def, target.ns);
}

Result<ListResult> Pipeline::list_at(const Target& target, std::uint64_t revision) const {
  return storage_.list_at(*target.def, target.ns, revision);
}

Result<Json> Pipeline::decode(const ResourceDef& def, Json object, RequestContext& context) const {
  if (!object.is_object()) {
    return fail(Error::bad_request(
        fmt::format("the body must be a {} object, not {}", def.kind, object.type_name())));
  }
  MOTH_TRY(check_kind(def, object));
  object["kind"] = def.kind;
  object["apiVersion"] = def.api_version();
  schema::Type type = def.type();
  if (!type) return fail(Error::internal("no schema for " + def.type_name));
  auto report = def.custom ? def.custom->decode(object) : schema::decode(type, object);
  if (!report) return fail(report.error());
  if (!report->clean()) {
    if (context.field_validation == "Strict")
      return fail(schema::strict_decoding_error(type, *report));
    if (context.field_validation != "Ignore") {
      for (std::string& text : report->messages()) context.warnings.push_back(std::move(text));
    }
  }
  if (!object.contains("metadata")) object["metadata"] = Json::object();
  return object;
}

Result<> Pipeline::admit(const Target& target, Operation operation, Json& object, const Json* old,
                         RequestContext& context, Approval* approval) {
  std::string name = object_name(object);
  if (name.empty()) name = target.name;
  AdmissionRequest request{stored(*target.def), operation, target.ns, name,
                           target.subresource,  old,       context,   target.def};
  bool compared = false;
  for (std::size_t done = 0; done < admission_.size(); ++done) {
    // What takes something comes last, so this is what webhooks saw, or it is not.
    if (approval && !compared && admission_[done]->reserves()) {
      compared = true;
      approval->stale = object != approval->object;
      if (approval->stale) {
        for (std::size_t i = 0; i < done; ++i) admission_[i]->release(request, object);
        return fail(Error::conflict(target.def->qualified(), name,
                                    "what admission makes of it changed meanwhile"));
      }
    }
    if (auto verdict = admission_[done]->mutate(request, object); !verdict) {
      // The one that failed has kept nothing.
      for (std::size_t i = 0; i < done; ++i) admission_[i]->release(request, object);
      return verdict;
    }
  }
  for (auto& step : admission_) {
    if (auto verdict = step->validate(request, object); !verdict) {
      for (auto& taken : admission_) taken->release(request, object);
      return verdict;
    }
  }
  return {};
}

Result<> Pipeline::validate(const ResourceDef& def, const Json& object, const Json* old) const {
  FieldErrors errors = validate_meta(object, def);
  if (old) append(errors, validate_meta_update(object, *old));
  if (old && def.validate_update) {
    append(errors, def.validate_update(object, *old));
  } else if (def.validate) {
    append(errors, def.validate(object));
  }
  if (errors.empty()) return {};
  return fail(to_invalid_error(def.group, def.kind, object_name(object), errors));
}

Result<> Pipeline::validate_change(const ResourceDef& def, std::string_view subresource,
                                   const Json& object, const Json& old) const {
  const resources::Subresource* sub = def.subresource(subresource);
  bool is_status = subresource == "status";
  if (!is_status && !(sub && sub->validate)) return validate(def, object, &old);
  FieldErrors errors = validate_meta(object, def);
  if (sub && sub->validate) {
    append(errors, sub->validate(object, old));
  } else if (def.validate_status) {
    append(errors, def.validate_status(object, old));
  }
  if (errors.empty()) return {};
  return fail(to_invalid_error(def.group, def.kind, object_name(object), errors));
}

Result<StagedWritePtr> Pipeline::stage_new(const Target& target, Json object,
                                           RequestContext& context, Approval* approval) {
  const ResourceDef& def = *target.def;
  const ResourceDef& row = stored(def);
  if (!approval) {  // else it is prepared already
    if (def.set_defaults) def.set_defaults(object);
    object = to_stored(def, std::move(object));
    if (row.prepare_create) row.prepare_create(object);
  }
  MOTH_TRY(admit(target, Operation::kCreate, object, nullptr, context, approval));
  if (row.set_defaults) row.set_defaults(object);
  std::string name = object_name(object);
  AdmissionRequest request{row,    Operation::kCreate, target.ns, name, target.subresource, nullptr,
                           context};
  auto give_back = [&](Error error) {
    for (auto& step : admission_) step->release(request, object);
    return fail(std::move(error));
  };
  if (auto valid = validate(row, object, nullptr); !valid) return give_back(valid.error());
  if (row.warnings) {
    for (std::string& text : row.warnings(object)) context.warnings.push_back(std::move(text));
  }
  if (context.dry_run) {
    if (storage_.latest(row, target.ns, name)) {
      return give_back(Error::already_exists(def.qualified(), name));
    }
    for (auto& step : admission_) step->release(request, object);
    return make_dry_run(Object::from_json(object));
  }
  auto staged = storage_.stage_create(row, object, durability_of(row, "", object));
  if (!staged) return give_back(staged.error());
  return staged;
}

Task<Result<WriteResult>> Pipeline::create(Target target, Json object, RequestContext& context) {
  auto rows = registry_.snapshot();  // keeps the row until the end
  const ResourceDef& def = *target.def;
  if (const Computed* kind = computed(target)) {
    co_return co_await compute(*kind, std::move(target), std::move(object), context);
  }
  if (def.durability == Durability::kVirtual) {
    co_return fail(
        Error::unavailable(fmt::format("this server has nobody to answer {}", def.qualified())));
  }
  Json sent = take_managed_fields(object);
  MOTH_CO_ASSIGN(Json decoded, decode(def, std::move(object), context));
  bool generated = object_name(decoded).empty() && !object_meta(decoded, "generateName").empty();
  Result<StagedWritePtr> staged;
  for (int attempt = 0; attempt < kGenerateNameTries; ++attempt) {
    Json copy = decoded;
    MOTH_CO_TRY(prepare_meta_for_create(copy, def, target.ns, clock_.wall(), random_));
    if (def.set_defaults) def.set_defaults(copy);
    Json managed = managed_of_new(registry_, target, copy, sent.is_null() ? nullptr : &sent,
                                  context, clock_.wall());
    if (!managed.empty()) copy["metadata"]["managedFields"] = std::move(managed);
    staged = concerns_remote(target, Operation::kCreate, context)
                 ? co_await stage_new_remotely(target, std::move(copy), context)
                 : stage_new(target, std::move(copy), context);
    if (staged || !generated || staged.error().reason != Reason::kAlreadyExists) break;
  }
  if (!staged) co_return fail(staged.error());
  ObjectPtr written = (*staged)->object();
  MOTH_CO_TRY(co_await (*staged)->committed());
  co_return WriteResult{to_version(def, written), true};
}

// `object` as the client wants it, in the version of the target, to what will be stored.
Result<Json> Pipeline::merge_for_update(const Target& target, const Json& old_stored, Json object,
                                        RequestContext& context, const Object* current) const {
  const ResourceDef& def = *target.def;
  std::string uid = object_meta(object, "uid");
  std::string old_uid = object_meta(old_stored, "uid");
  if (!uid.empty() && uid != old_uid) {
    return fail(Error::conflict(
        def.qualified(), target.name,
        fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid,
                    old_uid)));
  }
  std::string version = object_meta(object, "resourceVersion");
  if (!version.empty() && version != "0" && version != object_meta(old_stored, "resourceVersion")) {
    return fail(Error::modified(def.qualified(), target.name));
  }
  MOTH_TRY(check_name(object, target.name));
  Json sent = take_managed_fields(object);
  MOTH_ASSIGN(Json decoded, decode(def, std::move(object), context));
  if (def.set_defaults) def.set_defaults(decoded);
  decoded = to_stored(def, std::move(decoded));
  const ResourceDef& row = stored(def);
  MOTH_ASSIGN(Json merged,
              keep_rest(row, target.subresource, old_stored, std::move(decoded), clock_.wall()));
  keep_server_meta(merged, old_stored);
  if (target.subresource.empty() && row.prepare_update) row.prepare_update(merged, old_stored);
  const Json* live = find_path(old_stored, "metadata", "managedFields");
  bool lazy = !context.applied && !def.custom;  // rules of custom resources look at all of them
  track_change(registry_, target, old_stored,
               current ? managed_fields_of(*current, lazy)
               : live  ? *live
                       : Json(),
               merged, sent.is_null() ? nullptr : &sent, context, clock_.wall());
  return merged;
}

Result<StagedWritePtr> Pipeline::stage_changed(const Target& target, const ObjectPtr& current,
                                               Json object, RequestContext& context, bool& removed,
                                               Approval* approval, const Json* parsed) {
  const ResourceDef& row = stored(*target.def);
  const Json own = parsed ? Json() : current->parse();
  const Json& old = parsed ? *parsed : own;
  MOTH_TRY(admit(target, Operation::kUpdate, object, &old, context, approval));
  if (row.has_generation && target.subresource != "status") raise_generation(object, old);
  AdmissionRequest request{
      row, Operation::kUpdate, target.ns, target.name, target.subresource, &old, context};
  auto give_back = [&](Error error) {
    for (auto& step : admission_) step->release(request, object);
    return fail(std::move(error));
  };
  if (auto valid = validate_change(row, target.subresource, object, old); !valid) {
    return give_back(valid.error());
  }
  if (row.warnings && row.warn_on_update && target.subresource.empty() &&
      spec_differs(object, old)) {
    for (std::string& text : row.warnings(object)) context.warnings.push_back(std::move(text));
  }
  if (context.dry_run) {
    for (auto& step : admission_) step->release(request, object);
    object["metadata"]["resourceVersion"] = object_meta(old, "resourceVersion");
    return make_dry_run(Object::from_json(object));
  }
  if (released_by_update(row, object)) {
    removed = true;
    return storage_.stage_delete(row, current, row.durability);
  }
  auto staged =
      storage_.stage_update(row, object, current, durability_of(row, target.subresource, object));
  if (!staged) return give_back(staged.error());
  return staged;
}

Task<Result<WriteResult>> Pipeline::change(Target target,
                                           std::function<Result<Json>(const Json& current)> edit,
                                           RequestContext& context, bool edits_managed) {
  if (concerns_remote(target, Operation::kUpdate, context)) {
    co_return co_await change_remotely(std::move(target), std::move(edit), context);
  }
  const ResourceDef& def = *target.def;
  ObjectPtr current = storage_.latest(def, target.ns, target.name);
  if (!current) co_return fail(Error::not_found(def.qualified(), target.name));
  // Shared with whoever looks at the object, and without managedFields, which few edits are about.
  std::shared_ptr<const Json> old_stored = current->dom();
  bool as_is = def.is_storage() && def.current_since == 0 && !edits_managed;
  const Json converted = as_is ? Json() : from_stored(def, current->parse());
  MOTH_CO_ASSIGN(Json wanted, edit(as_is ? *old_stored : converted));
  MOTH_CO_ASSIGN(Json merged,
                 merge_for_update(target, *old_stored, std::move(wanted), context, current.get()));
  bool removed = false;
  auto staged = stage_changed(target, current, std::move(merged), context, removed, nullptr,
                              old_stored.get());
  old_stored.reset();  // not kept while the disk is waited for
  if (!staged) co_return fail(staged.error());
  ObjectPtr written = (*staged)->object();
  MOTH_CO_TRY(co_await (*staged)->committed());
  co_return WriteResult{to_version(def, written), false};
}

Task<Result<WriteResult>> Pipeline::update(Target target, Json object, RequestContext& context) {
  auto rows = registry_.snapshot();  // keeps the row until the end
  const ResourceDef& def = *target.def;
  if (!object.is_object()) co_return fail(Error::bad_request("the body must be a JSON object"));
  MOTH_CO_TRY(check_name(object, target.name));
  std::string body_ns = object_meta(object, "namespace");
  if (def.namespaced && !body_ns.empty() && body_ns != target.ns) {
    co_return fail(Error::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request"));
  }
  if (target.subresource == "scale")
    co_return co_await write_scale(*this, target, std::move(object), context);
  if (target.subresource.empty() && def.allow_create_on_update &&
      !storage_.latest(def, target.ns, target.name)) {
    if (context.create_denied) co_return fail(*context.create_denied);
    object["metadata"]["name"] = target.name;
    co_return co_await create(target, std::move(object), context);
  }
  if (target.subresource.empty() && !def.allow_unconditional_update &&
      object_meta(object, "resourceVersion").empty()) {
    co_return fail(
        to_invalid_error(def.group, def.kind, target.name,
                         {FieldError::invalid(FieldPath("metadata").child("resourceVersion"), 0,
                                              "must be specified for an update")}));
  }
  // With webhooks the change may be made more than once.
  bool once = !concerns_remote(target, Operation::kUpdate, context);
  co_return co_await change(
      target,
      [&object, once](const Json&) -> Result<Json> { return once ? std::move(object) : object; },
      context);
}

Task<Result<WriteResult>> Pipeline::patch(Target target, client::PatchType type, Json patch,
                                          RequestContext& context) {
  auto rows = registry_.snapshot();  // keeps the row until the end
  const ResourceDef& def = *target.def;
  if (type == client::PatchType::kApply) {
    if (target.subresource == "scale")
      co_return co_await apply_scale(std::move(target), std::move(patch), context);
    co_return co_await apply_patch(std::move(target), std::move(patch), context);
  }
  auto edit = [&](const Json& current) -> Result<Json> {
    switch (type) {
      case client::PatchType::kJson:
        return apply_json_patch(current, patch);
      case client::PatchType::kMerge:
        if (!patch.is_object())
          return fail(Error::bad_request("a merge patch must be a JSON object"));
        return apply_merge_patch(current, patch);
      case client::PatchType::kStrategic: {
        if (!patch.is_object())
          return fail(Error::bad_request("a strategic merge patch must be a JSON object"));
        schema::Type root =
            target.subresource == "scale" ? schema::find_type("autoscaling.v1.Scale") : def.type();
        const PatchSchema* known = patch_schemas_.of(root);
        if (!known)
          return fail(Error::of(Reason::kUnsupportedMediaType,
                                "strategic merge patches are for built-in kinds only"));
        return apply_strategic_patch(current, patch, *known);
      }
      case client::PatchType::kApply:
        break;  // never comes here
    }
    return fail(Error::internal("unknown patch type"));
  };
  if (target.subresource == "scale") {
    MOTH_CO_ASSIGN(ObjectPtr scale, get(target));
    MOTH_CO_ASSIGN(Json wanted, edit(scale->parse()));
    // A patch that names no resourceVersion never conflicts.
    if (!find_path(patch, "metadata", "resourceVersion") && wanted.contains("metadata")) {
      wanted["metadata"].erase("resourceVersion");
    }
    co_return co_await write_scale(*this, target, std::move(wanted), context);
  }
  // A patch that could be about managedFields must see them.
  bool edits_managed =
      type == client::PatchType::kJson || find_path(patch, "metadata", "managedFields") != nullptr;
  co_return co_await change(target, edit, context, edits_managed);
}

Result<StagedWritePtr> Pipeline::stage_remove(const Target& target, const ObjectPtr& current,
                                              const client::DeleteOptions& options,
                                              RequestContext& context, bool& removed) {
  const ResourceDef& row = stored(*target.def);
  const Json old = current->parse();
  AdmissionRequest request{
      row, Operation::kDelete, target.ns, target.name, target.subresource, &old, context};
  Json none = Json::object();
  for (auto& step : admission_) MOTH_TRY(step->validate(request, none));
  MOTH_ASSIGN(DeletionPlan plan, plan_deletion(row, old, options, clock_.wall()));
  removed = plan.remove;
  if (context.dry_run) return make_dry_run(current);
  if (plan.remove) return storage_.stage_delete(row, current, row.durability);
  if (!plan.update) return make_dry_run(current);  // already terminating: nothing to write
  return storage_.stage_update(row, std::move(*plan.update), current, row.durability);
}

Task<Result<DeleteResult>> Pipeline::remove(Target target, client::DeleteOptions options,
                                            RequestContext& context) {
  auto rows = registry_.snapshot();  // keeps the row until the end
  const ResourceDef& def = *target.def;
  if (concerns_remote(target, Operation::kDelete, context)) {
    MOTH_CO_TRY(co_await ask_about_delete(target, context));
  }
  ObjectPtr current = storage_.latest(def, target.ns, target.name);
  if (!current) co_return fail(Error::not_found(def.qualified(), target.name));
  if (stored(def).orphan_by_default && options.propagation_policy.empty()) {
    orphan_unless_decided(current->meta(), options, context);
  }
  bool removed = false;
  auto staged = stage_remove(target, current, options, context, removed);
  if (!staged) co_return fail(staged.error());
  ObjectPtr written = (*staged)->object();
  MOTH_CO_TRY(co_await (*staged)->committed());
  co_return DeleteResult{to_version(def, written), removed};
}

Task<Result<WriteResult>> Pipeline::bind(Target pod, std::string node, RequestContext& context) {
  const ResourceDef& def = *pod.def;
  ObjectPtr current = storage_.latest(def, pod.ns, pod.name);
  if (!current) co_return fail(Error::not_found(def.qualified(), pod.name));
  Json object = current->parse();
  if (std::string bound = string_or(object["spec"], "nodeName"); !bound.empty()) {
    co_return fail(
        Error::conflict(def.qualified(), pod.name,
                        fmt::format("pod {} is already assigned to node \"{}\"", pod.name, bound)));
  }
  if (current->meta().deletion_time) {
    co_return fail(Error::conflict(
        def.qualified(), pod.name,
        fmt::format("pod {} is being deleted, cannot be assigned to a host", pod.name)));
  }
  object["spec"]["nodeName"] = node;
  resources::ConditionUpdate scheduled{"PodScheduled", "True", "", "", std::nullopt};
  resources::set_condition(object["status"], scheduled, clock_.wall());
  if (context.dry_run) co_return WriteResult{Object::from_json(object), false};
  auto staged = storage_.stage_update(def, std::move(object), current, def.durability);
  if (!staged) co_return fail(staged.error());
  ObjectPtr written = (*staged)->object();
  MOTH_CO_TRY(co_await (*staged)->committed());
  co_return WriteResult{written, false};
}

}  // namespace moth::server

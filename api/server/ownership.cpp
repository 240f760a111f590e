#include "api/server/ownership.h"

#include <fmt/format.h>

#include <map>

#include "api/apply/managed_fields.h"
#include "api/apply/updater.h"
#include "api/base/json.h"
#include "api/machinery/managed_text.h"
#include "api/machinery/time.h"
#include "api/schema/types.h"

namespace moth::server {

using resources::ResourceDef;

namespace {

// The other served versions of a target's resource.
class ServedVersions final : public apply::Versions {
 public:
  ServedVersions(const resources::Registry& registry, const ResourceDef& def)
      : registry_(registry), def_(def) {}

  schema::Type type(std::string_view api_version) const override {
    const ResourceDef* row = find(api_version);
    return row ? row->type() : schema::Type();
  }
  Json convert(const Json& object, std::string_view from, std::string_view to) const override {
    const ResourceDef* source = find(from);
    const ResourceDef* target = find(to);
    if (!source || !target) return object;
    Json stored = source->is_storage() ? object : source->to_storage(object);
    return target->is_storage() ? stored : target->from_storage(stored);
  }

 private:
  const ResourceDef* find(std::string_view api_version) const {
    auto slash = api_version.find('/');
    bool core = slash == std::string_view::npos;
    std::string_view group = core ? std::string_view() : api_version.substr(0, slash);
    std::string_view version = core ? api_version : api_version.substr(slash + 1);
    const ResourceDef* row = registry_.find(group, version, def_.resource);
    return row && row->storage_index == def_.storage_index ? row : nullptr;
  }
  const resources::Registry& registry_;
  const ResourceDef& def_;
};

Json leaf() {
  return Json::object();
}

// Everything that a write to /status leaves as it was.
Json all_but_status(schema::Type type) {
  Json ignored = Json::object();
  for (schema::Field field : type.fields()) {
    std::string_view name = field.name();
    if (name == "apiVersion" || name == "kind" || name == "metadata" || name == "status") continue;
    ignored["f:" + std::string(name)] = leaf();
  }
  for (schema::Field field : schema::find_type("meta.v1.ObjectMeta").fields()) {
    if (field.name() == "labels" || field.name() == "annotations") continue;
    ignored["f:metadata"]["f:" + std::string(field.name())] = leaf();
  }
  return ignored;
}

// What a request to the subresource cannot change. Those of built-in types are made once.
class Ignored {
 public:
  Ignored(const ResourceDef& def, const std::string& subresource) {
    static const Json kStatus = {{"f:status", leaf()}};
    if (subresource != "status") {
      set_ = def.subresource("status") ? &kStatus : nullptr;
      return;
    }
    schema::Type type = def.type();
    if (!schema::is_builtin(type)) {
      own_ = all_but_status(type);
      set_ = &own_;
      return;
    }
    thread_local std::map<std::uint32_t, Json> made;
    auto [place, fresh] = made.try_emplace(type.index());
    if (fresh) place->second = all_but_status(type);
    set_ = &place->second;
  }
  const Json* set() const { return set_; }

 private:
  Json own_;
  const Json* set_ = nullptr;
};

apply::Writer writer_of(const Target& target, const RequestContext& context,
                        apply::Operation operation, WallTime now) {
  apply::Writer writer;
  writer.manager = context.field_manager.empty() ? apply::manager_of_user_agent(context.user_agent)
                                                 : context.field_manager;
  writer.operation = operation;
  writer.api_version = target.def->api_version();
  writer.subresource = context.on_behalf_of.empty() ? target.subresource : context.on_behalf_of;
  writer.time = format_rfc3339(now);
  return writer;
}

const Json* managed_in(const Json& object) {
  return find_path(object, "metadata", "managedFields");
}

std::string text_at(const Json& object, std::string_view field) {
  const Json* metadata = find_member(object, "metadata");
  return metadata ? string_or(*metadata, field) : "";
}

void set_managed(Json& object, Json managed) {
  if (managed.empty()) {
    object["metadata"].erase("managedFields");
  } else {
    object["metadata"]["managedFields"] = std::move(managed);
  }
}

// Whether an apply has changed nothing, so that not even its time is to be written.
bool nothing_changed(const Json& old, const Json& merged, const Json& live, const Json& managed) {
  if (!live.is_array() || !apply::same_but_times(live, managed)) return false;
  auto without_bookkeeping = [](Json object) {
    object["metadata"].erase("managedFields");
    object["metadata"].erase("resourceVersion");
    return object;
  };
  return without_bookkeeping(old) == without_bookkeeping(merged);
}

}  // namespace

Result<> check_field_manager(const RequestContext& context, std::string_view options, bool apply) {
  std::string fault = apply::fault_of_manager(context.field_manager);
  if (apply && context.field_manager.empty()) fault = "Required value: is required for apply patch";
  std::string field = "fieldManager";
  if (fault.empty() && !apply && context.force && options == "PatchOptions") {
    field = "force";
    fault = "Forbidden: may not be specified for non-apply patch";
  }
  if (fault.empty()) return {};
  Error error = Error::of(Reason::kInvalid, fmt::format("{}.meta.k8s.io \"\" is invalid: {}: {}",
                                                        options, field, fault));
  error.group = "meta.k8s.io";
  error.kind = options;
  std::string reason = fault.starts_with("Required")    ? "FieldValueRequired"
                       : fault.starts_with("Forbidden") ? "FieldValueForbidden"
                       : fault.starts_with("Too long")  ? "FieldValueTooLong"
                                                        : "FieldValueInvalid";
  error.causes.push_back({std::move(reason), std::move(fault), std::move(field)});
  return fail(std::move(error));
}

Json managed_of_new(const resources::Registry& registry, const Target& target, const Json& object,
                    const Json* sent, const RequestContext& context, WallTime now) {
  if (context.applied) return sent ? *sent : Json::array();
  Json managed = apply::managed_to_start_with(Json(), sent, false);
  ServedVersions versions(registry, *target.def);
  Ignored ignored(*target.def, "");
  apply::Job job{target.def->type(), writer_of(target, context, apply::Operation::kUpdate, now),
                 &versions, ignored.set()};
  apply::track_update(job, Json::object(), object, managed);
  return managed;
}

Json managed_fields_of(const Object& object, bool lazy) {
  std::string_view text = find_managed_fields(object.text()).value;
  if (text.empty()) return nullptr;
  return lazy ? apply::lazy_entries(text) : Json::parse(text, nullptr, false);
}

void track_change(const resources::Registry& registry, const Target& target, const Json& old,
                  Json live, Json& merged, const Json* sent, const RequestContext& context,
                  WallTime now) {
  if (context.applied) {
    Json managed = sent ? *sent : Json::array();
    if (nothing_changed(old, merged, live, managed)) managed = std::move(live);
    return set_managed(merged, std::move(managed));
  }
  const ResourceDef& def = *target.def;
  bool subresource = !target.subresource.empty();
  Json managed = apply::managed_to_start_with(std::move(live), sent, subresource);
  // Objects that nobody tracked, or whose tracking a client has reset, stay untracked until they
  // are applied.
  if (managed.empty()) return set_managed(merged, std::move(managed));
  ServedVersions versions(registry, def);
  Ignored ignored(def, target.subresource);
  apply::Job job{def.type(), writer_of(target, context, apply::Operation::kUpdate, now), &versions,
                 ignored.set()};
  // Custom resources that were written under another schema are read through a conversion.
  if (def.is_storage() && def.current_since == 0) {
    apply::track_update(job, old, merged, managed);
  } else {
    const Json before = def.from_storage(old);
    const Json after = def.is_storage() ? merged : def.from_storage(merged);
    apply::track_update(job, before, after, managed);
  }
  set_managed(merged, std::move(managed));
}

Result<> check_apply_config(const Target& target, const Json& config) {
  const ResourceDef& def = *target.def;
  if (!config.is_object()) {
    return fail(Error::bad_request("error decoding YAML: an apply patch must be an object"));
  }
  std::string kind = string_or(config, "kind"), version = string_or(config, "apiVersion");
  if (kind != def.kind || version != def.api_version()) {
    if (version.find('/') == std::string::npos) version = "/" + version;
    return fail(Error::bad_request(fmt::format("invalid object type: {}, Kind={}", version, kind)));
  }
  if (const Json* managed = managed_in(config); managed && !managed->is_null()) {
    return fail(Error::bad_request("metadata.managedFields must be nil"));
  }
  std::string name = text_at(config, "name");
  if (!name.empty() && name != target.name) {
    return fail(Error::bad_request(fmt::format(
        "the name of the object ({}) does not match the name on the URL ({})", name, target.name)));
  }
  std::string ns = text_at(config, "namespace");
  if (def.namespaced && !ns.empty() && ns != target.ns) {
    return fail(Error::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request"));
  }
  apply::Job job{def.type(), {}, nullptr, nullptr};
  job.writer.api_version = def.api_version();
  return apply::check_config(job, config);
}

void restore_nulls(const Json& raw, Json& decoded) {
  if (raw.is_object() && decoded.is_object()) {
    for (auto it = raw.begin(); it != raw.end(); ++it) {
      auto place = decoded.find(it.key());
      if (place != decoded.end()) {
        restore_nulls(*it, *place);
      } else if (it->is_null()) {
        decoded[it.key()] = nullptr;
      }
    }
  } else if (raw.is_array() && decoded.is_array() && raw.size() == decoded.size()) {
    for (std::size_t i = 0; i < raw.size(); ++i) restore_nulls(raw[i], decoded[i]);
  }
}

Result<Json> apply_to(const resources::Registry& registry, const Target& target, const Json& live,
                      const Json& config, const RequestContext& context, WallTime now) {
  const ResourceDef& def = *target.def;
  Json managed =
      apply::managed_to_start_with(managed_in(live) ? *managed_in(live) : Json(), nullptr, false);
  Json bare = live;
  if (bare.contains("metadata")) bare["metadata"].erase("managedFields");
  ServedVersions versions(registry, def);
  Ignored ignored(def, target.subresource);
  apply::Job job{def.type(), writer_of(target, context, apply::Operation::kApply, now), &versions,
                 ignored.set()};
  MOTH_ASSIGN(Json merged, apply::apply_config(job, bare, config, context.force, managed));
  // Also where nobody owns anything: the pipeline takes it as it is.
  merged["metadata"]["managedFields"] = std::move(managed);
  return merged;
}

Result<Json> scale_to_parent_config(const Target& target, const Json& scale) {
  std::string kind = string_or(scale, "kind"), version = string_or(scale, "apiVersion");
  if (kind != "Scale" || version != "autoscaling/v1") {
    if (version.find('/') == std::string::npos) version = "/" + version;
    return fail(Error::bad_request(fmt::format("invalid object type: {}, Kind={}", version, kind)));
  }
  Json config = {{"apiVersion", target.def->api_version()},
                 {"kind", target.def->kind},
                 {"metadata", Json::object()}};
  if (const Json* metadata = find_member(scale, "metadata"); metadata && metadata->is_object()) {
    for (const char* field : {"name", "namespace", "uid", "resourceVersion", "managedFields"}) {
      if (const Json* value = find_member(*metadata, field)) config["metadata"][field] = *value;
    }
  }
  const Json* replicas = find_path(scale, "spec", "replicas");
  if (!replicas) return config;
  if (!replicas->is_number_integer() || *replicas < 0) {
    return fail(
        to_invalid_error("autoscaling", "Scale", target.name,
                         {FieldError::invalid(FieldPath("spec").child("replicas"), *replicas,
                                              "must be greater than or equal to 0")}));
  }
  config[Json::json_pointer(target.def->scale_spec_replicas)] = *replicas;
  return config;
}

}  // namespace moth::server

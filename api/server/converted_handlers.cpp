// Requests in a version that a webhook converts from and to the stored one. Everything is done on
// the stored version, whose webhook calls upstream spares as well; what comes in and what goes out
// is converted around that. So nothing suspends inside of the pipeline.
#include "api/base/await_on.h"
#include "api/machinery/patch_json.h"
#include "api/machinery/patch_merge.h"
#include "api/resources/apiextensions_v1/conversion.h"
#include "api/schema/decode.h"
#include "api/server/api_server_impl.h"
#include "api/server/meta_rules.h"

namespace moth::server {
namespace {

// A patch that says nothing of versions is tried again when somebody was faster.
constexpr int kTries = 5;

bool names_version(const Json& patch) {
  return patch.is_object() && find_path(patch, "metadata", "resourceVersion");
}

}  // namespace

bool ApiServer::Impl::converts(const resources::ResourceDef& def) const {
  return resources::conversion_webhook(def) != nullptr;
}

// Whether a write goes through another version than the stored one. That is so for requests of the
// stored version, too, as long as the object is from the time of another.
Task<bool> ApiServer::Impl::writes_converted(const Call& call) {
  const resources::ResourceDef& def = *call.def;
  if (!converts(def) || call.info.subresource == "scale") co_return false;
  if (!def.is_storage()) co_return true;
  ObjectPtr stored = co_await call_on(
      control(), [&] { return pipeline_.storage().get(def, call.target.ns, call.target.name); });
  co_return stored && stored->api_version() != def.api_version();
}

Target ApiServer::Impl::stored_target(const Call& call) const {
  Target target = call.target;
  if (converts(*call.def)) target.def = call.def->storage_def;
  return target;
}

Task<Result<std::vector<Json>>> ApiServer::Impl::convert(const resources::ResourceDef& to,
                                                         std::vector<Json> objects) {
  if (!options_.convert)
    co_return fail(Error::unavailable("this server cannot call conversion webhooks"));
  co_return co_await await_on(control(), options_.convert(to, std::move(objects)));
}

Task<Result<>> ApiServer::Impl::convert_all(const resources::ResourceDef& def,
                                            std::vector<ObjectPtr>& objects) {
  std::vector<Json> stored;
  std::vector<ObjectPtr*> places;
  for (ObjectPtr& object : objects) {
    if (object->api_version() == def.api_version()) continue;
    stored.push_back(object->parse());
    places.push_back(&object);
  }
  if (places.empty()) co_return Result<>{};
  MOTH_CO_ASSIGN(auto converted, co_await convert(def, std::move(stored)));
  for (std::size_t i = 0; i < places.size(); ++i) {
    ObjectPtr& object = *places[i];
    converted[i]["metadata"]["resourceVersion"] = std::to_string(object->meta().resource_version);
    // Pruned and with the defaults of the version; the apiVersion is right already.
    object = Object::from_json(def.from_storage(converted[i]));
  }
  co_return Result<>{};
}

Task<Result<ObjectPtr>> ApiServer::Impl::shown(const Call& call, ObjectPtr stored) {
  if (!converts(*call.def) || call.info.subresource == "scale") co_return stored;
  std::vector<ObjectPtr> one{std::move(stored)};
  MOTH_CO_TRY(co_await convert_all(*call.def, one));
  co_return one[0];
}

// What a client sent, checked as an object of its version, in the stored one.
Task<Result<Json>> ApiServer::Impl::to_stored(Call& call, Json object, const Json* old) {
  const resources::ResourceDef& def = *call.def;
  if (!object.is_object()) co_return fail(Error::bad_request("the body must be a JSON object"));
  object["kind"] = def.kind;
  object["apiVersion"] = def.api_version();
  MOTH_CO_ASSIGN(auto report, def.custom->decode(object));
  if (!report.clean() && call.context.field_validation == "Strict")
    co_return fail(schema::strict_decoding_error(def.type(), report));
  if (call.context.field_validation != "Ignore") {
    for (std::string& text : report.messages()) call.context.warnings.push_back(std::move(text));
  }
  if (def.set_defaults) def.set_defaults(object);
  FieldErrors errors = old ? def.validate_update(object, *old) : def.validate(object);
  if (!errors.empty()) {
    const Json* name = find_path(object, "metadata", "name");
    co_return fail(to_invalid_error(
        def.group, def.kind, name && name->is_string() ? name->get<std::string>() : "", errors));
  }
  MOTH_CO_ASSIGN(auto converted, co_await convert(*def.storage_def, {std::move(object)}));
  co_return std::move(converted[0]);
}

Task<Result<Json>> ApiServer::Impl::newest(const Call& call) {
  Target target = stored_target(call);
  target.subresource.clear();
  auto stored = co_await call_on(control(), [&] { return pipeline_.get(target); });
  if (!stored) co_return fail(stored.error());
  std::vector<ObjectPtr> one{*std::move(stored)};
  MOTH_CO_TRY(co_await convert_all(*call.def, one));
  co_return one[0]->parse();
}

Task<Result<WriteResult>> ApiServer::Impl::update_converted(Call& call, Json object) {
  MOTH_CO_ASSIGN(Json old, co_await newest(call));
  MOTH_CO_ASSIGN(Json stored, co_await to_stored(call, std::move(object), &old));
  co_return co_await await_on(
      control(), pipeline_.update(stored_target(call), std::move(stored), call.context));
}

Task<Result<WriteResult>> ApiServer::Impl::patch_converted(Call& call, client::PatchType type,
                                                           Json patch) {
  if (type == client::PatchType::kApply) {
    MOTH_CO_ASSIGN(auto config, co_await convert(*call.def->storage_def, {std::move(patch)}));
    co_return co_await await_on(
        control(), pipeline_.patch(stored_target(call), type, std::move(config[0]), call.context));
  }
  if (type == client::PatchType::kStrategic) {
    co_return fail(Error::of(Reason::kUnsupportedMediaType,
                             "strategic merge patches are for built-in kinds only"));
  }
  for (int attempt = 1;; ++attempt) {
    MOTH_CO_ASSIGN(Json old, co_await newest(call));
    auto wanted = type == client::PatchType::kJson ? apply_json_patch(old, patch)
                                                   : apply_merge_patch(old, patch);
    if (!wanted) co_return fail(wanted.error());
    MOTH_CO_ASSIGN(Json stored, co_await to_stored(call, *std::move(wanted), &old));
    auto written = co_await await_on(
        control(), pipeline_.update(stored_target(call), std::move(stored), call.context));
    bool again = !written && written.error().reason == Reason::kConflict && attempt < kTries &&
                 !names_version(patch);
    if (!again) co_return written;
  }
}

}  // namespace moth::server

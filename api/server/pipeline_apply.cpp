// Server-side apply: a patch that says what its manager wants, and creates what is missing.
#include <fmt/format.h>

#include "api/base/json.h"
#include "api/server/ownership.h"
#include "api/server/pipeline.h"
#include "api/server/scale.h"

namespace moth::server {
namespace {

std::string meta_text(const Json& object, std::string_view field) {
  const Json* metadata = find_member(object, "metadata");
  return metadata ? string_or(*metadata, field) : "";
}

// The parent's owners, as whoever applies a Scale knows them.
Error in_terms_of_scale(Error error, const std::string& parent_version) {
  auto rename = [&](std::string& text) {
    std::string from = " using " + parent_version;
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + 1))
      text.replace(at, from.size(), " using autoscaling/v1");
  };
  if (error.causes.empty() || error.causes[0].reason != "FieldManagerConflict") return error;
  rename(error.message);
  for (Cause& cause : error.causes) rename(cause.message);
  return error;
}

}  // namespace

Task<Result<WriteResult>> Pipeline::apply_scale(Target target, Json scale,
                                                RequestContext& context) {
  auto rows = registry_.snapshot();  // keeps the row until the end
  const resources::ResourceDef& def = *target.def;
  MOTH_CO_ASSIGN(Json config, scale_to_parent_config(target, scale));
  context.on_behalf_of = "scale";
  Target parent = target;
  parent.subresource.clear();
  if (!storage_.latest(def, target.ns, target.name))
    co_return fail(Error::not_found(def.qualified(), target.name));
  auto written = co_await apply_patch(parent, std::move(config), context);
  if (!written) co_return fail(in_terms_of_scale(written.error(), def.api_version()));
  MOTH_CO_ASSIGN(Json answer, read_scale(def, written->object->parse()));
  co_return WriteResult{Object::from_json(answer), false};
}

Task<Result<WriteResult>> Pipeline::apply_patch(Target target, Json config,
                                                RequestContext& context) {
  auto rows = registry_.snapshot();  // keeps the row until the end
  const resources::ResourceDef& def = *target.def;
  MOTH_CO_TRY(check_apply_config(target, config));
  MOTH_CO_ASSIGN(Json decoded, decode(def, config, context));
  restore_nulls(config, decoded);
  context.applied = true;
  if (storage_.latest(def, target.ns, target.name)) {
    // Kept in this frame, which outlives the change.
    auto edit = [&](const Json& current) {
      return apply_to(registry_, target, current, decoded, context, clock_.wall());
    };
    co_return co_await change(target, edit, context, true);
  }
  if (!target.subresource.empty()) co_return fail(Error::not_found(def.qualified(), target.name));
  if (context.create_denied) co_return fail(*context.create_denied);
  if (std::string uid = meta_text(decoded, "uid"); !uid.empty()) {
    co_return fail(Error::conflict(def.qualified(), target.name,
                                   fmt::format("uid mismatch: the provided object specified uid "
                                               "{}, and no existing object was found",
                                               uid)));
  }
  if (meta_text(decoded, "name").empty()) {
    co_return fail(Error::bad_request(fmt::format(
        "the name of the object ({} based on URL) was undeterminable: name must be provided",
        target.name)));
  }
  MOTH_CO_ASSIGN(Json merged,
                 apply_to(registry_, target, Json::object(), decoded, context, clock_.wall()));
  co_return co_await create(target, std::move(merged), context);
}

}  // namespace moth::server

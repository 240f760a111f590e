// Pipeline, the part of it that answers kinds which are not stored.
#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/field_error.h"
#include "api/server/pipeline.h"

namespace moth::server {
namespace {

std::string key_of(const Target& target) {
  std::string key = target.def->qualified();
  if (!target.subresource.empty()) key += "/" + target.subresource;
  return key;
}

// The place in the body has to be the place in the URL.
Result<> check_place(const resources::ResourceDef& body, const Target& target, Json& object) {
  Json& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  std::string ns = string_or(metadata, "namespace");
  if (body.namespaced) {
    if (!ns.empty() && ns != target.ns) {
      return fail(Error::bad_request(
          "the namespace of the provided object does not match the namespace sent on the request"));
    }
    metadata["namespace"] = target.ns;
  } else {
    metadata.erase("namespace");
  }
  std::string name = string_or(metadata, "name");
  if (!target.name.empty() && !name.empty() && name != target.name) {
    return fail(Error::bad_request(fmt::format(
        "the name of the object ({}) does not match the name on the URL ({})", name, target.name)));
  }
  return {};
}

}  // namespace

void Pipeline::compute_on_create(std::string resource, resources::ResourceDef body,
                                 Compute compute) {
  computed_.insert_or_assign(std::move(resource), Computed{std::move(body), std::move(compute)});
}

const Pipeline::Computed* Pipeline::computed(const Target& target) const {
  auto it = computed_.find(key_of(target));
  return it == computed_.end() ? nullptr : &it->second;
}

bool Pipeline::computes(const Target& target) const {
  return computed(target) != nullptr;
}

Task<Result<WriteResult>> Pipeline::compute(const Computed& kind, Target target, Json object,
                                            RequestContext& context) {
  const resources::ResourceDef& body = kind.body;
  MOTH_CO_ASSIGN(Json decoded, decode(body, std::move(object), context));
  MOTH_CO_TRY(check_place(body, target, decoded));
  if (body.set_defaults) body.set_defaults(decoded);
  if (body.validate) {
    FieldErrors errors = body.validate(decoded);
    if (!errors.empty()) co_return fail(to_invalid_error(body.group, body.kind, "", errors));
  }
  MOTH_CO_ASSIGN(Json answer, co_await kind.answer(std::move(target), std::move(decoded), context));
  co_return WriteResult{Object::from_json(answer), true};
}

}  // namespace moth::server

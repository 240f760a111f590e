// create, update, patch, delete, deletecollection, binding, eviction.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/base/await_on.h"
#include "api/machinery/time.h"
#include "api/resources/warm_up.h"
#include "api/server/api_server_impl.h"
#include "api/server/auth/attributes.h"
#include "api/server/body.h"
#include "api/server/ownership.h"

namespace moth::server {
namespace {

// Duplicate members count as unknown fields do.
Result<> judge_duplicates(const Call& call, const DecodedBody& body,
                          std::vector<std::string>& warnings) {
  if (body.duplicates.empty() || call.context.field_validation == "Ignore") return {};
  if (call.context.field_validation == "Strict") {
    std::string all;
    for (const std::string& text : body.duplicates) all += (all.empty() ? "" : ", ") + text;
    return fail(Error::bad_request(
        fmt::format("{0} in version \"{1}\" cannot be handled as a {0}: strict decoding error: {2}",
                    call.def->kind, call.def->version, all)));
  }
  for (const std::string& text : body.duplicates) warnings.push_back(text);
  return {};
}

Json success_status(const resources::ResourceDef& def, const Object& object) {
  Json details = {{"name", object.name()}, {"kind", def.resource}, {"uid", object.uid()}};
  if (!def.group.empty()) details["group"] = def.group;
  return {{"kind", "Status"},
          {"apiVersion", "v1"},
          {"metadata", Json::object()},
          {"status", "Success"},
          {"details", std::move(details)}};
}

// What would hold the control thread for long is done before it is entered.
Task<void> warm_up(const Call& call, const Json& body, asio::any_io_executor background) {
  resources::WarmUp work = resources::warm_up_of(*call.def);
  if (work && call.info.subresource.empty()) {
    co_await call_on(std::move(background), [work, &body] { work(body); });
  }
}

}  // namespace

Task<Result<>> ApiServer::Impl::create(Call& call) {
  MOTH_CO_TRY(check_field_manager(call.context, "CreateOptions", false));
  MOTH_CO_ASSIGN(DecodedBody body, decode_body(call.request()));
  if (body.value.is_null()) co_return fail(Error::bad_request("the request has no body"));
  MOTH_CO_TRY(judge_duplicates(call, body, call.context.warnings));
  if (call.info.subresource == "binding") co_return co_await bind_pod(call, std::move(body.value));
  if (call.info.subresource == "eviction")
    co_return co_await evict_pod(call, std::move(body.value));
  if (!call.info.subresource.empty() && !pipeline_.computes(call.target)) {
    co_return fail(Error::of(Reason::kMethodNotAllowed,
                             fmt::format("creating the {} subresource of {} is not supported yet",
                                         call.info.subresource, call.def->qualified())));
  }
  co_await warm_up(call, body.value, executors_.blocking());
  if (converts(*call.def) && !call.def->is_storage()) {
    MOTH_CO_ASSIGN(body.value, co_await to_stored(call, std::move(body.value), nullptr));
  }
  auto written = co_await await_on(
      control(), pipeline_.create(stored_target(call), std::move(body.value), call.context));
  if (!written) co_return fail(written.error());
  MOTH_CO_ASSIGN(ObjectPtr seen, co_await shown(call, written->object));
  co_return co_await send_object(call, 201, std::move(seen));
}

// For writes that create what they do not find.
void ApiServer::Impl::note_right_to_create(Call& call) const {
  RequestInfo creates = call.info;
  creates.verb = "create";
  auto allowed = options_.authorizer->check(call.context.user, attributes_of(creates));
  if (!allowed) call.context.create_denied = allowed.error();
}

Task<Result<>> ApiServer::Impl::update(Call& call) {
  MOTH_CO_TRY(check_field_manager(call.context, "UpdateOptions", false));
  MOTH_CO_ASSIGN(DecodedBody body, decode_body(call.request()));
  if (body.value.is_null()) co_return fail(Error::bad_request("the request has no body"));
  MOTH_CO_TRY(judge_duplicates(call, body, call.context.warnings));
  if (call.def->allow_create_on_update) note_right_to_create(call);
  co_await warm_up(call, body.value, executors_.blocking());
  bool converted = co_await writes_converted(call);
  auto written = converted ? co_await update_converted(call, std::move(body.value))
                           : co_await await_on(
                                 control(), pipeline_.update(stored_target(call),
                                                             std::move(body.value), call.context));
  if (!written) co_return fail(written.error());
  MOTH_CO_ASSIGN(ObjectPtr seen, co_await shown(call, written->object));
  co_return co_await send_object(call, written->created ? 201 : 200, std::move(seen));
}

Task<Result<>> ApiServer::Impl::patch(Call& call) {
  MOTH_CO_ASSIGN(client::PatchType type, patch_type(call.request()));
  MOTH_CO_ASSIGN(DecodedBody body, decode_body(call.request()));
  bool apply = type == client::PatchType::kApply;
  MOTH_CO_TRY(check_field_manager(call.context, "PatchOptions", apply));
  if (apply) note_right_to_create(call);
  if (apply && !body.duplicates.empty() && call.context.field_validation == "Strict") {
    co_return fail(Error::bad_request(
        fmt::format("error strict decoding YAML: {}", fmt::join(body.duplicates, ", "))));
  }
  co_await warm_up(call, body.value, executors_.blocking());
  bool converted = co_await writes_converted(call);
  auto written = converted ? co_await patch_converted(call, type, std::move(body.value))
                           : co_await await_on(
                                 control(), pipeline_.patch(stored_target(call), type,
                                                            std::move(body.value), call.context));
  if (!written) co_return fail(written.error());
  MOTH_CO_ASSIGN(ObjectPtr seen, co_await shown(call, written->object));
  co_return co_await send_object(call, written->created ? 201 : 200, std::move(seen));
}

Task<Result<>> ApiServer::Impl::remove(Call& call) {
  MOTH_CO_ASSIGN(client::DeleteOptions options, decode_delete_options(call.request()));
  call.context.dry_run = options.dry_run;
  auto removed = co_await await_on(
      control(), pipeline_.remove(stored_target(call), std::move(options), call.context));
  if (!removed) co_return fail(removed.error());
  if (!removed->removed) {
    MOTH_CO_ASSIGN(ObjectPtr seen, co_await shown(call, removed->object));
    co_return co_await send_object(call, 200, std::move(seen));
  }
  co_await send_json(call, 200, success_status(*call.def, *removed->object).dump());
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::remove_collection(Call& call) {
  const http::Query& query = call.request().query;
  MOTH_CO_ASSIGN(client::DeleteOptions options, decode_delete_options(call.request()));
  MOTH_CO_ASSIGN(Selection selection, Selection::parse(*call.def, query.get("labelSelector"),
                                                       query.get("fieldSelector")));
  call.context.dry_run = options.dry_run;
  auto listed = co_await call_on(control(), [&] { return pipeline_.list(call.target); });
  ListPage page;
  page.revision = listed.revision;
  for (const ObjectPtr& object : listed.objects) {
    if (!selection.matches(*object)) continue;
    Target target{call.def, object->ns(), object->name(), ""};
    auto removed = co_await await_on(control(), pipeline_.remove(target, options, call.context));
    if (!removed && removed.error().reason == Reason::kNotFound) continue;
    if (!removed) co_return fail(removed.error());
    page.objects.push_back(object);
  }
  co_return co_await send_list(call, Form::kObject, std::move(page));
}

Task<Result<>> ApiServer::Impl::bind_pod(Call& call, Json binding) {
  const Json* node_name = find_path(binding, "target", "name");
  if (!node_name || !node_name->is_string()) {
    co_return fail(Error::bad_request("target.name: Required value: the node to bind to"));
  }
  auto bound = co_await await_on(
      control(), pipeline_.bind(call.target, node_name->get<std::string>(), call.context));
  if (!bound) co_return fail(bound.error());
  co_await send_json(
      call, 201,
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201})");
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::evict_pod(Call& call, Json eviction) {
  auto evicted =
      co_await await_on(control(), pipeline_.evict(call.target, std::move(eviction), call.context));
  if (!evicted) co_return fail(evicted.error());
  co_await send_json(
      call, 201,
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201})");
  co_return Result<>{};
}

}  // namespace moth::server

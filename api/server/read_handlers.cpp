// get and list.
#include <fmt/format.h>

#include <charconv>

#include "api/base/await_on.h"
#include "api/http/gzip.h"
#include "api/machinery/json_text.h"
#include "api/server/api_server_impl.h"
#include "api/server/scale.h"

namespace moth::server {
namespace {

// A resourceVersion from the future is waited for so long [apiserver storage].
constexpr auto kFutureRevisionWait = std::chrono::seconds(3);

Json list_metadata(const ListPage& page) {
  Json metadata = {{"resourceVersion", std::to_string(page.revision)}};
  if (!page.continue_token.empty()) metadata["continue"] = page.continue_token;
  if (page.remaining > 0) metadata["remainingItemCount"] = page.remaining;
  return metadata;
}

std::string list_head(const resources::ResourceDef& def, const ListPage& page) {
  return fmt::format(R"({{"kind":"{}","apiVersion":"{}","metadata":{},"items":[)", def.list_kind(),
                     def.api_version(), dump_json(list_metadata(page)));
}

Result<std::uint64_t> parse_revision(const std::string& text) {
  std::uint64_t revision = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return fail(Error::bad_request(
        fmt::format("Invalid value: \"{}\": resourceVersion must be a decimal number", text)));
  }
  return revision;
}

}  // namespace

IncludeObject ApiServer::Impl::include_of(const Call& call) const {
  std::string_view wish = call.request().query.get("includeObject");
  if (wish == "None") return IncludeObject::kNone;
  if (wish == "Object") return IncludeObject::kObject;
  return IncludeObject::kMetadata;
}

// What one object looks like in a response or watch event.
std::string ApiServer::Impl::object_text(const Call& call, Form form, const ObjectPtr& object,
                                         bool first) const {
  WallTime now = pipeline_.clock().wall();
  if (form == Form::kPartialMetadata) return dump_json(partial_metadata(object->parse()));
  if (form != Form::kTable) return object->text();
  const Json dom = object->parse();
  if (object->kind() == "Scale") return dump_json(scale_table(dom, now));
  Json rows = Json::array({table_row(*call.def, dom, include_of(call), now)});
  return dump_json(table(first ? table_columns(*call.def) : Json(nullptr), std::move(rows),
                         {{"resourceVersion", std::to_string(object->meta().resource_version)}}));
}

Task<Result<>> ApiServer::Impl::send_object(Call& call, int status, ObjectPtr object) {
  MOTH_CO_ASSIGN(Form form, negotiate(call.request().headers.get("Accept")));
  if (form == Form::kObject) {
    http::Response response = http::Response::json(status, "");
    response.chunks.push_back(object->shared_text());
    for (const std::string& text : call.context.warnings) {
      response.headers.add(
          "Warning", "299 - " + Json(text).dump(-1, ' ', true, Json::error_handler_t::replace));
    }
    co_await call.exchange.send(std::move(response));
    co_return Result<>{};
  }
  co_await send_json(call, status, object_text(call, form, object, true));
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::get(Call& call) {
  auto object = co_await call_on(control(), [&] { return pipeline_.get(stored_target(call)); });
  if (!object) co_return fail(object.error());
  MOTH_CO_ASSIGN(ObjectPtr seen, co_await shown(call, *std::move(object)));
  co_return co_await send_object(call, 200, std::move(seen));
}

// A client that saw a revision elsewhere (a backup, another server) is told to come back.
Task<Result<>> ApiServer::Impl::wait_for_revision(std::uint64_t wanted) {
  MonoTime deadline = pipeline_.clock().mono() + kFutureRevisionWait;
  std::uint64_t current = 0;
  auto wait = [&]() -> Task<bool> {
    bool reached = co_await pipeline_.storage().reach(wanted, deadline);
    current = pipeline_.storage().revision();
    co_return reached;
  };
  if (co_await await_on(control(), wait())) co_return Result<>{};
  Error error =
      Error::timeout(fmt::format("Too large resource version: {}, current: {}", wanted, current));
  error.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  error.retry_after_seconds = 1;
  co_return fail(std::move(error));
}

Task<Result<>> ApiServer::Impl::list(Call& call) {
  const http::Query& query = call.request().query;
  MOTH_CO_ASSIGN(Form form, negotiate(call.request().headers.get("Accept")));
  MOTH_CO_ASSIGN(Selection selection, Selection::parse(*call.def, query.get("labelSelector"),
                                                       query.get("fieldSelector")));
  MOTH_CO_ASSIGN(auto limit_wish, query.integer("limit"));
  auto limit = static_cast<std::size_t>(std::max<std::int64_t>(0, limit_wish.value_or(0)));
  std::string version(query.get("resourceVersion"));
  std::string match(query.get("resourceVersionMatch"));
  if (!match.empty() && version.empty()) {
    co_return fail(Error::of(
        Reason::kInvalid, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
  }
  if (match == "Exact" && version == "0") {
    co_return fail(Error::of(
        Reason::kInvalid, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
  }
  ContinueToken token;
  if (query.has("continue") && !query.get("continue").empty()) {
    MOTH_CO_ASSIGN(token, ListSnapshots::parse_token(query.get("continue")));
    if (token.snapshot != 0) {
      MOTH_CO_ASSIGN(ListPage page, snapshots_.next_page(token, limit, call.info.path));
      if (!selection.everything()) page.remaining = -1;
      co_return co_await send_list(call, form, std::move(page));
    }
  }
  std::uint64_t wanted = 0;
  if (!version.empty() && token.after.empty()) {
    MOTH_CO_ASSIGN(wanted, parse_revision(version));
  }
  if (wanted != 0) MOTH_CO_TRY(co_await wait_for_revision(wanted));
  auto listed = co_await call_on(control(), [&]() -> Result<ListResult> {
    if (match == "Exact") return pipeline_.list_at(call.target, wanted);
    return pipeline_.list(call.target);
  });
  if (!listed) co_return fail(listed.error());
  if (!token.after.empty()) {
    std::erase_if(listed->objects, [&](const ObjectPtr& object) {
      return object->ns() + "/" + object->name() <= token.after;
    });
  }
  if (!selection.everything()) {
    std::erase_if(listed->objects,
                  [&](const ObjectPtr& object) { return !selection.matches(*object); });
  }
  ListPage page =
      snapshots_.first_page(std::move(listed->objects), listed->revision, limit, call.info.path);
  if (!selection.everything()) page.remaining = -1;
  co_return co_await send_list(call, form, std::move(page));
}

Task<Result<>> ApiServer::Impl::send_list(Call& call, Form form, ListPage page) {
  static const auto kComma = std::make_shared<const std::string>(",");
  const resources::ResourceDef& def = *call.def;
  if (converts(def)) {
    MOTH_CO_TRY(co_await convert_all(def, page.objects));
  } else {
    for (ObjectPtr& object : page.objects) object = to_version(def, object);
  }
  http::Response response = http::Response::json(200, "");
  if (form == Form::kObject) {
    response.body = list_head(def, page);
    for (const ObjectPtr& object : page.objects) {
      if (&object != &page.objects.front()) response.chunks.push_back(kComma);
      response.chunks.push_back(object->shared_text());
    }
    response.chunks.push_back(std::make_shared<const std::string>("]}"));
  } else if (form == Form::kPartialMetadata) {
    Json items = Json::array();
    for (const ObjectPtr& object : page.objects) items.push_back(partial_metadata(object->parse()));
    response.body = dump_json({{"kind", "PartialObjectMetadataList"},
                               {"apiVersion", "meta.k8s.io/v1"},
                               {"metadata", list_metadata(page)},
                               {"items", std::move(items)}});
  } else {
    Json rows = Json::array();
    WallTime now = pipeline_.clock().wall();
    for (const ObjectPtr& object : page.objects) {
      rows.push_back(table_row(def, object->parse(), include_of(call), now));
    }
    response.body = dump_json(table(table_columns(def), std::move(rows), list_metadata(page)));
  }
  for (const std::string& text : call.context.warnings) {
    response.headers.add("Warning",
                         "299 - " + Json(text).dump(-1, ' ', true, Json::error_handler_t::replace));
  }
  if (http::gzip_wanted(call.request(), response))
    response = http::gzip_response(std::move(response));
  co_await call.exchange.send(std::move(response));
  co_return Result<>{};
}

}  // namespace moth::server

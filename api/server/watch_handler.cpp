// watch: a stream of JSON lines, one serialisation of an object for all watchers.
#include <fmt/format.h>

#include <charconv>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <random>

#include "api/base/await_on.h"
#include "api/server/api_server_impl.h"

namespace moth::server {
namespace {

constexpr auto kBookmarkEvery = std::chrono::seconds(60);

struct WatchPlan {
  std::vector<ObjectPtr> initial;
  std::uint64_t revision = 0;  // initial holds everything up to here
  std::unique_ptr<StoreWatch> watch;
};

struct WatchWishes {
  bool initial = false;           // synthetic ADDED events first
  bool initial_bookmark = false;  // and a bookmark that ends them
  bool bookmarks = false;
  std::uint64_t after = 0;
  std::chrono::seconds timeout{0};
};

Error invalid_options(const char* field, const char* why) {
  Error error = Error::of(
      Reason::kInvalid,
      fmt::format("ListOptions.meta.k8s.io \"\" is invalid: {}: Forbidden: {}", field, why));
  error.group = "meta.k8s.io";
  error.kind = "ListOptions";
  error.causes.push_back({"FieldValueForbidden", fmt::format("Forbidden: {}", why), field});
  return error;
}

Result<WatchWishes> parse_wishes(const http::Query& query) {
  WatchWishes wishes;
  std::string version(query.get("resourceVersion"));
  bool send_initial = query.flag("sendInitialEvents");
  std::string match(query.get("resourceVersionMatch"));
  if (!version.empty()) {
    auto [end, error] =
        std::from_chars(version.data(), version.data() + version.size(), wishes.after);
    if (error != std::errc{} || end != version.data() + version.size()) {
      return fail(Error::bad_request(
          fmt::format("Invalid value: \"{}\": resourceVersion must be a decimal number", version)));
    }
  }
  bool told = query.has("sendInitialEvents");
  if (told && match != "NotOlderThan") {
    return fail(
        invalid_options("resourceVersionMatch",
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
  }
  if (!told && !match.empty()) {
    return fail(invalid_options(
        "resourceVersionMatch",
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
  }
  wishes.bookmarks = query.flag("allowWatchBookmarks");
  wishes.initial = send_initial || (wishes.after == 0 && !told);
  wishes.initial_bookmark = send_initial && wishes.bookmarks;
  MOTH_ASSIGN(auto timeout, query.integer("timeoutSeconds"));
  if (timeout && *timeout > 0) {
    wishes.timeout = std::chrono::seconds(std::min<std::int64_t>(*timeout, 24 * 3600));
  } else {
    // Ends spread over half an hour, so that watchers do not all come back at once.
    thread_local std::minstd_rand random{std::random_device{}()};
    wishes.timeout = std::chrono::seconds(1800 + random() % 1800);
  }
  return wishes;
}

http::SharedText shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

const http::SharedText& event_head(std::string_view type) {
  static const auto kAdded = shared(R"({"type":"ADDED","object":)");
  static const auto kModified = shared(R"({"type":"MODIFIED","object":)");
  static const auto kDeleted = shared(R"({"type":"DELETED","object":)");
  return type == "ADDED" ? kAdded : type == "MODIFIED" ? kModified : kDeleted;
}

// How an event looks through a selection; null type: not at all.
const char* visible_type(const StoreEvent& event, const Selection& selection) {
  if (selection.everything()) {
    return event.type == EventType::kAdded      ? "ADDED"
           : event.type == EventType::kModified ? "MODIFIED"
                                                : "DELETED";
  }
  bool was = event.previous && selection.matches(*event.previous);
  bool is = event.type != EventType::kDeleted && selection.matches(*event.object);
  if (is) return was ? "MODIFIED" : "ADDED";
  return was ? "DELETED" : nullptr;
}

}  // namespace

bool ApiServer::Impl::still_served(const resources::ResourceDef& def) const {
  auto rows = pipeline_.registry().snapshot();  // keeps what is found
  const resources::ResourceDef* now = pipeline_.registry().find(def.gvr());
  return now && now->served && now->custom == def.custom;
}

Task<void> ApiServer::Impl::row_gone(const resources::ResourceDef& def) {
  while (still_served(def)) co_await rows_changed_->wait();
}

Task<Result<std::vector<StoreEvent>>> ApiServer::Impl::next_or_gone(
    StoreWatch& cursor, MonoTime until, const resources::ResourceDef& def) {
  if (!def.custom) co_return co_await cursor.next(until);
  using namespace asio::experimental::awaitable_operators;
  auto raced = co_await (cursor.next(until) || row_gone(def));
  if (raced.index() == 0) co_return std::get<0>(std::move(raced));
  co_return std::vector<StoreEvent>{};
}

Task<Result<>> ApiServer::Impl::watch(Call& call) {
  const http::Query& query = call.request().query;
  const resources::ResourceDef& def = *call.def;
  MOTH_CO_ASSIGN(Form form, negotiate(call.request().headers.get("Accept")));
  MOTH_CO_ASSIGN(Selection selection,
                 Selection::parse(def, query.get("labelSelector"), query.get("fieldSelector")));
  selection.require_name(call.info.name);
  MOTH_CO_ASSIGN(WatchWishes wishes, parse_wishes(query));

  auto plan = co_await call_on(control(), [&]() -> Result<WatchPlan> {
    WatchPlan made;
    if (wishes.initial) {
      ListResult listed = pipeline_.list(call.target);
      made.initial = std::move(listed.objects);
      made.revision = listed.revision;
    } else {
      // No version and no initial events: from now on.
      made.revision = wishes.after > 0 ? wishes.after : pipeline_.storage().revision();
    }
    auto cursor = pipeline_.storage().watch(*def.storage_def, made.revision,
                                            {call.info.ns, selection.required_name().value_or("")});
    if (!cursor) return fail(cursor.error());
    made.watch = std::move(*cursor);
    return made;
  });
  if (!plan) co_return fail(plan.error());
  // The cursor belongs to control, whatever way this coroutine ends.
  struct Return {
    asio::any_io_executor control;
    std::unique_ptr<StoreWatch>& watch;
    ~Return() {
      asio::post(control, [owned = std::shared_ptr<StoreWatch>(std::move(watch))] {});
    }
  } give_back{control(), plan->watch};

  auto started = co_await call.exchange.start_stream(
      200, {{"Content-Type", "application/json"}, {"Cache-Control", "no-cache, private"}});
  if (!started) co_return fail(started.error());
  http::StreamWriter& out = *started;

  bool first = true;
  static const auto kEnd = shared("}\n");
  auto append = [&](std::vector<http::SharedText>& parts, const char* type,
                    const ObjectPtr& object) {
    ObjectPtr seen = converts(def) ? object : to_version(def, object);
    parts.push_back(event_head(type));
    parts.push_back(form == Form::kObject ? seen->shared_text()
                                          : shared(object_text(call, form, seen, first)));
    parts.push_back(kEnd);
    first = false;
  };
  auto bookmark = [&](std::uint64_t revision, bool initial_end) {
    Json metadata = {{"resourceVersion", std::to_string(revision)}};
    if (initial_end) metadata["annotations"] = {{"k8s.io/initial-events-end", "true"}};
    Json object = {{"kind", def.kind}, {"apiVersion", def.api_version()}, {"metadata", metadata}};
    if (form == Form::kPartialMetadata) {
      object["kind"] = "PartialObjectMetadata";
      object["apiVersion"] = "meta.k8s.io/v1";
    }
    if (form == Form::kTable) {
      Json row = {{"cells", Json::array()}, {"object", partial_metadata(object)}};
      object = table(first ? table_columns(def) : Json(nullptr), Json::array({std::move(row)}),
                     {{"resourceVersion", std::to_string(revision)}});
      first = false;
    }
    return shared(R"({"type":"BOOKMARK","object":)" + object.dump() + "}\n");
  };

  std::vector<http::SharedText> parts;
  // What is to be told, in the version of this watch. False when a webhook failed: the client is
  // told and begins anew.
  using Told = std::vector<std::pair<const char*, ObjectPtr>>;
  auto tell = [&](Told told) -> Task<bool> {
    if (converts(def) && !told.empty()) {
      std::vector<ObjectPtr> objects;
      for (auto& [type, object] : told) objects.push_back(object);
      if (auto done = co_await convert_all(def, objects); !done) {
        parts.push_back(
            shared(R"({"type":"ERROR","object":)" + done.error().to_status().dump() + "}\n"));
        co_return false;
      }
      for (std::size_t i = 0; i < told.size(); ++i) told[i].second = objects[i];
    }
    for (const auto& [type, object] : told) append(parts, type, object);
    co_return true;
  };
  Told initial;
  for (const ObjectPtr& object : plan->initial) {
    if (selection.everything() || selection.matches(*object)) initial.emplace_back("ADDED", object);
  }
  plan->initial.clear();
  bool converting = co_await tell(std::move(initial));
  if (converting && wishes.initial_bookmark) parts.push_back(bookmark(plan->revision, true));
  if (!parts.empty()) {
    if (auto sent = co_await out.write(std::move(parts)); !sent) co_return Result<>{};
  }

  Clock& clock = pipeline_.clock();
  MonoTime end = clock.mono() + wishes.timeout;
  MonoTime next_bookmark = clock.mono() + kBookmarkEvery;
  StoreWatch* cursor = plan->watch.get();
  while (converting && !out.closed() && clock.mono() < end) {
    // Of a custom resource that is gone or has another schema there is nothing more to tell than
    // what has happened already.
    bool gone = def.custom && !still_served(def);
    MonoTime until = gone ? clock.mono() : wishes.bookmarks ? std::min(end, next_bookmark) : end;
    using namespace asio::experimental::awaitable_operators;
    auto raced = co_await (
        await_on(control(), gone ? cursor->next(until) : next_or_gone(*cursor, until, def)) ||
        out.wait_closed());
    if (raced.index() == 1) break;
    auto& events = std::get<0>(raced);
    parts.clear();
    if (!events) {
      parts.push_back(
          shared(R"({"type":"ERROR","object":)" + events.error().to_status().dump() + "}\n"));
      (void)co_await out.write(std::move(parts));
      break;
    }
    Told told;
    for (const StoreEvent& event : *events) {
      if (const char* type = visible_type(event, selection)) told.emplace_back(type, event.object);
    }
    converting = co_await tell(std::move(told));
    if (converting && wishes.bookmarks && clock.mono() >= std::min(next_bookmark, end)) {
      std::uint64_t revision = co_await call_on(control(), [&] { return cursor->revision(); });
      parts.push_back(bookmark(revision, false));
      next_bookmark = clock.mono() + kBookmarkEvery;
    }
    if (!parts.empty()) {
      if (auto sent = co_await out.write(std::move(parts)); !sent) break;
    }
    if (gone) break;
  }
  (void)co_await out.finish();
  co_return Result<>{};
}

}  // namespace moth::server

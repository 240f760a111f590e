#include "ctl/cli/api.h"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/system/system_error.hpp>

#include "ctl/cli/keyboard.h"
#include "ctl/cli/terminal.h"

namespace moth::ctl {

using client::PatchType;
using client::RestResult;

struct Api::Loop {
  asio::io_context io{1};
  std::unique_ptr<client::RestClient> rest;

  // Runs `task` to its end; at the deadline it is cancelled and nothing is returned.
  template <class T>
  std::optional<T> run(Task<T> task, SteadyTime deadline = kForever) {
    std::optional<T> result;
    bool done = false;
    asio::cancellation_signal cancel;
    asio::co_spawn(
        io, std::move(task),
        asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr thrown, T value) {
          done = true;
          if (!thrown) result.emplace(std::move(value));
        }));
    io.restart();
    if (deadline == kForever) {
      while (!done) io.run_one();
      return result;
    }
    while (!done && std::chrono::steady_clock::now() < deadline) io.run_one_until(deadline);
    if (!done) cancel.emit(asio::cancellation_type::terminal);
    while (!done) io.run_one();
    return result;
  }
};

namespace {

constexpr std::string_view kListLimit = "500";

Failure interrupted() {
  return Failure(Error::of(Reason::kInternalError, "the request was interrupted"));
}

template <class T>
Outcome<T> to_outcome(std::optional<RestResult<T>> result) {
  if (!result) return tl::unexpected(interrupted());
  if (!*result) return tl::unexpected(Failure(std::move(*result).error()));
  return *std::move(*result);
}

using LineFn = std::function<bool(std::string_view)>;

Task<RestResult<StreamEnd>> read_lines(client::RestClient* rest, RestRequest request,
                                       const LineFn* line) {
  auto stream = co_await rest->open(std::move(request));
  if (!stream) co_return tl::unexpected(std::move(stream).error());
  for (;;) {
    auto text = co_await stream->read_line();
    if (!text) co_return tl::unexpected(client::RestError{std::move(text).error(), false});
    if (!*text) co_return StreamEnd::kEnded;
    if (!(*line)(**text)) co_return StreamEnd::kStopped;
  }
}

Task<RestResult<StreamEnd>> read_pieces(client::RestClient* rest, RestRequest request,
                                        const LineFn* piece) {
  auto stream = co_await rest->open(std::move(request));
  if (!stream) co_return tl::unexpected(std::move(stream).error());
  for (;;) {
    auto text = co_await stream->read_piece();
    if (!text) co_return tl::unexpected(client::RestError{std::move(text).error(), false});
    if (text->empty()) co_return StreamEnd::kEnded;
    if (!(*piece)(*text)) co_return StreamEnd::kStopped;
  }
}

Task<void> wait_for(std::chrono::milliseconds duration) {
  RealClock clock;
  co_await clock.sleep_for(duration);
}

Task<bool> wait_and_tell(std::chrono::milliseconds duration) {
  co_await wait_for(duration);
  co_return true;
}

Task<RestResult<client::ExecEnd>> exec_task(client::RestClient* rest, RestRequest request,
                                            std::shared_ptr<client::ExecInput> input,
                                            client::OutputSinks output,
                                            std::function<void()> connected) {
  auto socket = co_await rest->websocket(std::move(request), {std::string(client::kExecProtocol)});
  if (!socket) co_return tl::unexpected(std::move(socket).error());
  connected();
  auto end = co_await client::run_exec(*std::move(socket), std::move(input), std::move(output));
  if (!end) co_return tl::unexpected(client::RestError{std::move(end).error(), false});
  co_return *std::move(end);
}

std::string_view content_type_of(PatchType type) {
  switch (type) {
    case PatchType::kJson:
      return "application/json-patch+json";
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kApply:
      return "application/apply-patch+yaml";
    case PatchType::kStrategic:
      break;
  }
  return "application/strategic-merge-patch+json";
}

}  // namespace

Api::Api(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Api::~Api() = default;

Outcome<std::unique_ptr<Api>> Api::connect(KubeEndpoint endpoint, client::RestOptions options) {
  auto loop = std::make_unique<Loop>();
  auto executor = loop->io.get_executor();
  MOTH_ASSIGN(loop->rest, client::RestClient::make(executor, executor, std::move(endpoint),
                                                   std::move(options)));
  return std::unique_ptr<Api>(new Api(std::move(loop)));
}

const KubeEndpoint& Api::endpoint() const {
  return loop_->rest->endpoint();
}

Outcome<Json> Api::json(RestRequest request) {
  return to_outcome(loop_->run(loop_->rest->send_json(std::move(request))));
}

Outcome<std::string> Api::text(RestRequest request) {
  MOTH_ASSIGN(http::Response response,
              to_outcome(loop_->run(loop_->rest->send(std::move(request)))));
  return response.whole_body();
}

Outcome<StreamEnd> Api::lines(RestRequest request, LineFn line, SteadyTime deadline) {
  auto result = loop_->run(read_lines(loop_->rest.get(), std::move(request), &line), deadline);
  if (!result) return StreamEnd::kTimedOut;
  return to_outcome(std::move(result));
}

Outcome<StreamEnd> Api::pieces(RestRequest request, LineFn piece) {
  return to_outcome(loop_->run(read_pieces(loop_->rest.get(), std::move(request), &piece)));
}

void Api::lines_of_all(std::vector<RestRequest> requests,
                       std::function<void(std::size_t, std::string_view)> line,
                       std::function<void(std::size_t, const Failure&)> failed) {
  std::size_t running = requests.size();
  std::vector<LineFn> sinks(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    sinks[i] = [i, &line](std::string_view text) {
      line(i, text);
      return true;
    };
    asio::co_spawn(loop_->io, read_lines(loop_->rest.get(), std::move(requests[i]), &sinks[i]),
                   [i, &running, &failed](std::exception_ptr thrown, RestResult<StreamEnd> result) {
                     --running;
                     if (thrown)
                       failed(i, interrupted());
                     else if (!result)
                       failed(i, Failure(std::move(result).error()));
                   });
  }
  loop_->io.restart();
  while (running > 0) loop_->io.run_one();
}

Outcome<client::ExecEnd> Api::exec(RestRequest request, ExecOptions options) {
  auto input = std::make_shared<client::ExecInput>(loop_->io.get_executor());
  std::optional<RawMode> raw;
  std::optional<Keyboard> keyboard;
  asio::signal_set resized(loop_->io);
  std::function<void()> on_resize = [&] {
    resized.async_wait([&](boost::system::error_code error, int) {
      if (error) return;
      if (auto size = terminal_size()) input->resize(size->width, size->height);
      on_resize();
    });
  };
  constexpr std::size_t kMaxWaiting = 256 * 1024;
  bool source_ended = false;
  auto feed = [&] {
    while (!source_ended && input->waiting() < kMaxWaiting) {
      std::string piece = options.source();
      source_ended = piece.empty();
      source_ended ? input->finish() : input->push(piece);
    }
  };
  auto connected = [&] {
    if (options.tty) {
      raw.emplace();
      if (auto size = terminal_size()) input->resize(size->width, size->height);
      resized.add(SIGWINCH);
      on_resize();
    }
    if (options.source)
      feed();
    else if (options.stdin_open)
      keyboard.emplace(loop_->io.get_executor(), input);
  };
  client::OutputSinks output;
  output.out = options.out;
  output.err = options.err;
  output.drained = [&] {
    if (keyboard) keyboard->drained();
    if (options.source) feed();
  };
  auto result = loop_->run(
      exec_task(loop_->rest.get(), std::move(request), input, std::move(output), connected));
  resized.cancel();
  loop_->io.poll();  // the cancelled wait refers to this frame
  return to_outcome(std::move(result));
}

namespace {

Task<bool> run_whole(Task<void> task) {
  co_await std::move(task);
  co_return true;
}

}  // namespace

client::RestClient& Api::rest() {
  return *loop_->rest;
}

asio::any_io_executor Api::executor() {
  return loop_->io.get_executor();
}

bool Api::run(Task<void> task) {
  return loop_->run(run_whole(std::move(task))).has_value();
}

void Api::sleep(std::chrono::milliseconds duration) {
  loop_->run(wait_and_tell(duration));
}

Outcome<const client::RestMapper*> Api::mapper() {
  if (mapper_) return &*mapper_;
  constexpr std::string_view kAccept =
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
  std::vector<Json> documents;
  for (const char* path : {"/api", "/apis"}) {
    RestRequest request;
    request.path = path;
    request.accept = kAccept;
    MOTH_ASSIGN(Json document, json(std::move(request)));
    documents.push_back(std::move(document));
  }
  MOTH_ASSIGN(mapper_, client::RestMapper::from_discovery(documents));
  return &*mapper_;
}

Outcome<const ApiResource*> Api::resource(std::string_view word) {
  MOTH_ASSIGN(const client::RestMapper* known, mapper());
  if (const ApiResource* found = known->find(word)) return found;
  return refuse(fmt::format("the server doesn't have a resource type \"{}\"", word));
}

Outcome<Json> Api::get(const ApiResource& resource, std::string_view ns, std::string_view name,
                       std::string_view subresource) {
  RestRequest request;
  request.path = resource.path(ns, name, subresource);
  return json(std::move(request));
}

Outcome<Json> Api::list(const ApiResource& resource, std::string_view ns, QueryList query) {
  std::optional<Json> whole;
  for (std::string more;;) {
    RestRequest request;
    request.path = resource.path(ns);
    request.query = query;
    request.query.emplace_back("limit", kListLimit);
    if (!more.empty()) request.query.emplace_back("continue", more);
    MOTH_ASSIGN(Json page, json(std::move(request)));
    const Json* metadata = find_member(page, "metadata");
    more = metadata ? string_or(*metadata, "continue") : "";
    Json items = page.contains("items") && page["items"].is_array() ? std::move(page["items"])
                                                                    : Json::array();
    if (!whole) {
      whole = std::move(page);
      (*whole)["items"] = std::move(items);
    } else {
      for (Json& item : items) (*whole)["items"].push_back(std::move(item));
    }
    if (more.empty()) break;
  }
  // Items of typed lists carry no kind of their own everywhere.
  for (Json& item : (*whole)["items"]) {
    if (!item.is_object()) continue;
    if (!item.contains("kind")) item["kind"] = resource.kind;
    if (!item.contains("apiVersion")) item["apiVersion"] = resource.api_version();
  }
  return *std::move(whole);
}

Outcome<Json> Api::create(const ApiResource& resource, std::string_view ns, const Json& object,
                          QueryList query) {
  RestRequest request;
  request.method = "POST";
  request.path = resource.path(ns);
  request.query = std::move(query);
  request.content_type = "application/json";
  request.body = object.dump();
  return json(std::move(request));
}

Outcome<Json> Api::patch(const ApiResource& resource, std::string_view ns, std::string_view name,
                         PatchType type, const Json& patch, QueryList query,
                         std::string_view subresource) {
  RestRequest request;
  request.method = "PATCH";
  request.path = resource.path(ns, name, subresource);
  request.query = std::move(query);
  request.content_type = content_type_of(type);
  request.body = patch.dump();
  return json(std::move(request));
}

Outcome<Json> Api::replace(const ApiResource& resource, std::string_view ns, std::string_view name,
                           const Json& object, QueryList query, std::string_view subresource) {
  RestRequest request;
  request.method = "PUT";
  request.path = resource.path(ns, name, subresource);
  request.query = std::move(query);
  request.content_type = "application/json";
  request.body = object.dump();
  return json(std::move(request));
}

Outcome<Json> Api::remove(const ApiResource& resource, std::string_view ns, std::string_view name,
                          const Json& options) {
  RestRequest request;
  request.method = "DELETE";
  request.path = resource.path(ns, name);
  request.content_type = "application/json";
  request.body = options.dump();
  return json(std::move(request));
}

namespace {

struct ObjectFollower {
  const std::function<Outcome<bool>(const Json*)>& look;
  std::optional<Failure> failure;
  bool done = false;
  bool expired = false;

  void show(const Json* object) {
    auto verdict = look(object);
    if (!verdict)
      failure = std::move(verdict).error();
    else
      done = *verdict;
  }

  // False ends the stream.
  bool event(std::string_view line) {
    Json event = Json::parse(line, nullptr, false);
    std::string type = string_or(event, "type");
    const Json* object = find_member(event, "object");
    if (!object || type == "BOOKMARK") return true;
    if (type == "ERROR") {
      expired = true;  // too old: list again
      return false;
    }
    show(type == "DELETED" ? nullptr : object);
    return !done && !failure;
  }
};

}  // namespace

Outcome<StreamEnd> Api::follow_object(const ApiResource& resource, const std::string& ns,
                                      const std::string& name,
                                      const std::function<Outcome<bool>(const Json*)>& look,
                                      SteadyTime deadline) {
  ObjectFollower follower{look};
  for (;;) {
    QueryList selector{{"fieldSelector", "metadata.name=" + name}};
    MOTH_ASSIGN(Json found, list(resource, ns, selector));
    const Json& items = found["items"];
    follower.show(items.empty() ? nullptr : &items.front());
    if (follower.failure) return tl::unexpected(*follower.failure);
    if (follower.done) return StreamEnd::kStopped;
    if (std::chrono::steady_clock::now() >= deadline) return StreamEnd::kTimedOut;

    RestRequest request;
    request.path = resource.path(ns);
    request.query = std::move(selector);
    request.query.emplace_back("resourceVersion", string_or(found["metadata"], "resourceVersion"));
    request.query.emplace_back("watch", "true");
    auto end = lines(
        std::move(request), [&](std::string_view line) { return follower.event(line); }, deadline);
    if (follower.failure) return tl::unexpected(*follower.failure);
    if (follower.done) return StreamEnd::kStopped;
    if (end && *end == StreamEnd::kTimedOut) return StreamEnd::kTimedOut;
    // A watch that ended or broke starts again from a list; that one says what is wrong for good.
    if (!end && !end.error().is(Reason::kExpired) && !end.error().is(Reason::kGone))
      sleep(std::chrono::milliseconds(500));
  }
}

}  // namespace moth::ctl

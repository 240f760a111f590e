#include "runtime/agent/node_agent.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <charconv>

#include "api/base/await_on.h"
#include "api/base/json.h"
#include "api/http/dial.h"
#include "api/machinery/time.h"
#include "runtime/agent/log_reader.h"
#include "runtime/images/bytes.h"
#include "runtime/network/netns.h"
#include "runtime/os/unique_fd.h"

namespace moth::agent {
namespace {

using resources::Container;

// An ExecSession of the API over the shim's streams, which live on control.
class ShimSession final : public client::ExecSession {
 public:
  ShimSession(asio::any_io_executor control, std::shared_ptr<shim::Container> container,
              std::shared_ptr<shim::Streams> streams, std::shared_ptr<shim::ExecSession> process)
      : control_(std::move(control)),
        container_(std::move(container)),
        streams_(std::move(streams)),
        process_(std::move(process)) {}

  ~ShimSession() override {
    // The last references go where the streams live; an exec whose client went is ended.
    asio::post(control_, [container = std::move(container_), streams = std::move(streams_),
                          process = std::move(process_)] {
      if (process) process->kill();
    });
  }

  Task<Result<client::ExecOutput>> read() override {
    return await_on(control_, next(streams_, process_));
  }
  Task<Result<>> write_stdin(std::string data) override {
    return await_on(control_, write(streams_, std::move(data)));
  }
  Task<Result<>> close_stdin() override { return await_on(control_, close(streams_)); }
  Task<Result<>> resize(int width, int height) override {
    return await_on(control_, resize_to(streams_, width, height));
  }

 private:
  static Task<Result<client::ExecOutput>> next(std::shared_ptr<shim::Streams> streams,
                                               std::shared_ptr<shim::ExecSession> process) {
    MOTH_CO_ASSIGN(shim::Chunk chunk, co_await streams->read());
    client::ExecOutput output;
    if (chunk.kind != shim::Chunk::Kind::kEnd) {
      output.channel = chunk.kind == shim::Chunk::Kind::kStderr ? client::StreamChannel::kStderr
                                                                : client::StreamChannel::kStdout;
      output.data = std::move(chunk.data);
      co_return output;
    }
    if (process) {
      MOTH_CO_ASSIGN(output.exit_code, co_await process->wait());
    }
    co_return output;
  }
  static Task<Result<>> write(std::shared_ptr<shim::Streams> streams, std::string data) {
    co_return co_await streams->write(std::move(data));
  }
  static Task<Result<>> close(std::shared_ptr<shim::Streams> streams) {
    co_return co_await streams->close_stdin();
  }
  static Task<Result<>> resize_to(std::shared_ptr<shim::Streams> streams, int width, int height) {
    co_return co_await streams->resize(static_cast<std::uint16_t>(width),
                                       static_cast<std::uint16_t>(height));
  }

  asio::any_io_executor control_;
  std::shared_ptr<shim::Container> container_;
  std::shared_ptr<shim::Streams> streams_;
  std::shared_ptr<shim::ExecSession> process_;
};

Error not_running(const Object& pod, const std::string& container) {
  return Error::bad_request(
      fmt::format("container \"{}\" in pod \"{}\" is not running", container, pod.name()));
}

// The number of a run that ended, -1 when it has none.
int attempt_of(const std::optional<Termination>& end) {
  if (!end) return -1;
  auto mark = end->container_id.rfind('_');
  int number = -1;
  const std::string& id = end->container_id;
  if (mark != std::string::npos)
    std::from_chars(id.data() + mark + 1, id.data() + id.size(), number);
  return number;
}

// Why there is nothing to show of a container, in upstream's words.
Error no_log(const ContainerRecord* record, const std::string& container, const std::string& pod) {
  std::string why =
      record && !record->waiting_reason.empty() ? record->waiting_reason : "ContainerCreating";
  if (why == "ErrImagePull") why = "image can't be pulled";
  if (why == "ImagePullBackOff") why = "trying and failing to pull image";
  return Error::bad_request(
      fmt::format("container \"{}\" in pod \"{}\" is waiting to start: {}", container, pod, why));
}

// The run whose log is meant. `previous` is the one that the status shows as the last state: of a
// container that waits for its restart, the run that ended last.
Result<int> logged_attempt(const ContainerRecord* record, bool previous,
                           const std::string& container, const std::string& pod) {
  bool shown_ended =
      record && record->state == ContainerRecord::State::kExited && record->waiting_reason.empty();
  if (previous) {
    int number = record ? attempt_of(shown_ended ? record->previous : record->last) : -1;
    if (number >= 0) return number;
    return fail(Error::bad_request(fmt::format(
        "previous terminated container \"{}\" in pod \"{}\" not found", container, pod)));
  }
  if (record && record->running()) return record->attempt;
  int number = record ? attempt_of(record->last) : -1;
  if (number < 0) return fail(no_log(record, container, pod));
  return number;
}

// Sockets inside a network namespace; the second is -1 where there is no IPv6.
struct LocalSockets {
  os::UniqueFd v4, v6;
};

Result<LocalSockets> open_sockets(const std::string& netns) {
  LocalSockets sockets;
  auto open = [&sockets]() -> Result<> {
    constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    sockets.v4.reset(::socket(AF_INET, kType, 0));
    if (!sockets.v4) return fail(Error::from_errno(errno, "socket"));
    sockets.v6.reset(::socket(AF_INET6, kType, 0));
    return {};
  };
  if (netns.empty()) {
    MOTH_TRY(open());
  } else {
    MOTH_TRY(network::run_in_netns(netns, open));
  }
  return sockets;
}

// First over IPv4, then over IPv6: a server may listen in one family alone.
Task<Result<http::RawStream>> dial_local(asio::any_io_executor io, LocalSockets sockets,
                                         std::uint16_t port, std::string netns) {
  constexpr std::chrono::seconds kPatience{30};
  constexpr std::chrono::milliseconds kNoLimit{0};
  auto dialed =
      co_await http::dial_loopback(io, sockets.v4.release(), false, port, kPatience, kNoLimit);
  if (dialed) co_return dialed;
  auto words = [](std::string text, const char* network) {
    return text.starts_with("dial tcp ") ? fmt::format("dial {} {}", network, text.substr(9))
                                         : text;
  };
  std::string why = "IPv4: " + words(dialed.error().message, "tcp4");
  if (sockets.v6) {
    dialed =
        co_await http::dial_loopback(io, sockets.v6.release(), true, port, kPatience, kNoLimit);
    if (dialed) co_return dialed;
    why += " IPv6 " + words(dialed.error().message, "tcp6");
  }
  std::string name = netns.substr(netns.rfind('/') + 1);
  co_return fail(Error::of(
      Reason::kServiceUnavailable,
      fmt::format("failed to execute portforward in network namespace \"{}\": failed to connect to "
                  "localhost:{} inside namespace \"{}\", {} ",
                  netns, port, name, why)));
}

Json image_json(const images::Image& image) {
  return {{"id", image.id},
          {"names", image.names},
          {"digests", image.digests},
          {"size", image.size_bytes},
          {"created", image.config.created},
          {"storedAt", format_rfc3339(image.stored_at)}};
}

Json removed_json(const images::Removed& removed) {
  return {{"untagged", removed.untagged},
          {"deleted", removed.deleted},
          {"freedBytes", removed.freed_bytes}};
}

}  // namespace

NodeAgent::NodeAgent(Executors& executors, Paths paths, PodManager& pods,
                     images::ImageService& images, UsageSampler& usage, os::FileWatcher& watcher)
    : executors_(executors),
      paths_(std::move(paths)),
      pods_(pods),
      images_(images),
      usage_(usage),
      watcher_(watcher) {}

Task<Result<std::unique_ptr<client::LogReader>>> NodeAgent::logs(ObjectPtr pod,
                                                                 client::LogOptions options) {
  PodWorker* worker = pods_.find(pod->uid());
  const ContainerRecord* record = worker ? worker->record().find(options.container) : nullptr;
  MOTH_CO_ASSIGN(int attempt,
                 logged_attempt(record, options.previous, options.container, pod->name()));
  if (options.previous) options.follow = false;
  LogSource source;
  source.path = paths_.log(pod->ns(), pod->name(), pod->uid(), options.container, attempt);
  source.run_dir = paths_.bundle(pod->uid(), options.container, attempt);
  source.alive = [this, uid = pod->uid(), container = options.container, attempt]() -> Task<bool> {
    auto check = [this, &uid, &container, attempt] {
      PodWorker* owner = pods_.find(uid);
      const ContainerRecord* state = owner ? owner->record().find(container) : nullptr;
      return state && state->attempt == attempt && (state->running() || state->busy());
    };
    co_return co_await call_on(executors_.control(), check);
  };
  co_return make_log_reader(executors_, watcher_, std::move(source), options);
}

Task<Result<std::unique_ptr<client::ExecSession>>> NodeAgent::exec(ObjectPtr pod,
                                                                   client::ExecOptions options) {
  PodWorker* worker = pods_.find(pod->uid());
  auto container = worker ? worker->running(options.container) : nullptr;
  if (!container) co_return fail(not_running(*pod, options.container));
  if (options.command.empty()) {
    auto streams = co_await container->attach();
    if (!streams) co_return fail(streams.error());
    std::shared_ptr<shim::Streams> shared = *std::move(streams);
    co_return std::make_unique<ShimSession>(executors_.control(), container, shared, nullptr);
  }
  shim::ExecRequest request;
  request.argv = options.command;
  request.tty = options.tty;
  request.with_stdin = options.stdin_open;
  if (options.tty) request.extra_env.emplace_back("TERM=xterm");
  auto session = co_await container->exec(std::move(request));
  if (!session) co_return fail(session.error());
  std::shared_ptr<shim::ExecSession> shared = *std::move(session);
  co_return std::make_unique<ShimSession>(executors_.control(), container, shared, shared);
}

Task<Result<http::RawStream>> NodeAgent::connect(ObjectPtr pod, int port) {
  PodWorker* worker = pods_.find(pod->uid());
  bool living = worker && worker->record().resources_ready &&
                worker->record().stage != PodStage::kTerminated &&
                worker->record().stage != PodStage::kGone;
  if (!living) {
    co_return fail(
        Error::of(Reason::kServiceUnavailable,
                  fmt::format("pod \"{}\" has no network: it is not running", pod->name())));
  }
  std::string netns = worker->context().netns_path;
  auto sockets = co_await call_on(executors_.blocking(), [&] { return open_sockets(netns); });
  if (!sockets) co_return fail(sockets.error());
  co_return co_await await_on(executors_.io(),
                              dial_local(executors_.io(), std::move(*sockets),
                                         static_cast<std::uint16_t>(port), std::move(netns)));
}

std::vector<client::PodUsage> NodeAgent::pod_usage() {
  return usage_.pods();
}
std::optional<client::NodeUsage> NodeAgent::node_usage() {
  return usage_.node();
}

Task<Result<Json>> NodeAgent::image_list() {
  Json list = Json::array();
  for (const images::ImagePtr& image : images_.list()) list.push_back(image_json(*image));
  co_return Json{{"images", std::move(list)}};
}

Task<Result<Json>> NodeAgent::image_load(std::string archive_path, client::ProgressSink progress) {
  if (archive_path.empty() || archive_path.front() != '/') {
    co_return fail(Error::bad_request(
        "path: Invalid value: name the archive by an absolute path on the node"));
  }
  auto input = co_await call_on(executors_.blocking(),
                                [&] { return images::open_file_source(archive_path); });
  if (!input) co_return fail(input.error());
  progress("loading " + archive_path);
  auto loaded = co_await images_.load(*std::move(input), {});
  if (!loaded) co_return fail(loaded.error());
  Json list = Json::array();
  for (const images::Loaded& entry : *loaded) {
    for (const std::string& name : entry.names) progress("loaded " + name);
    list.push_back(image_json(*entry.image));
  }
  co_return Json{{"images", std::move(list)}};
}

Task<Result<Json>> NodeAgent::image_pull(std::string reference, client::ProgressSink progress) {
  auto show = [progress](const images::LayerProgress& layer) {
    using Phase = images::LayerProgress::Phase;
    const char* phase = layer.phase == Phase::kWaiting       ? "waiting"
                        : layer.phase == Phase::kDownloading ? "downloading"
                        : layer.phase == Phase::kUnpacked    ? "unpacked"
                                                             : "present";
    progress(
        fmt::format("{} {} {}/{}", layer.digest.substr(0, 19), phase, layer.done, layer.total));
  };
  auto ensured =
      co_await images_.ensure(std::move(reference), images::PullPolicy::kAlways, {}, show);
  if (!ensured) co_return fail(ensured.error());
  co_return image_json(*ensured->image);
}

Task<Result<Json>> NodeAgent::image_remove(std::string reference) {
  auto removed = co_await images_.remove(std::move(reference));
  if (!removed) co_return fail(removed.error());
  co_return removed_json(*removed);
}

Task<Result<Json>> NodeAgent::image_prune() {
  auto removed = co_await images_.prune(true);
  if (!removed) co_return fail(removed.error());
  co_return removed_json(*removed);
}

Task<Result<Json>> NodeAgent::image_build(Json request, client::ProgressSink progress) {
  images::BuildRequest build;
  build.context = string_or(request, "context");
  build.dockerfile = string_or(request, "file");
  build.target = string_or(request, "target");
  build.no_cache = bool_or(request, "noCache");
  if (const Json* tags = find_member(request, "tags"); tags && tags->is_array()) {
    for (const Json& tag : *tags) {
      if (tag.is_string()) build.tags.push_back(tag.get<std::string>());
    }
  }
  if (const Json* args = find_member(request, "args"); args && args->is_object()) {
    for (const auto& [name, value] : args->items()) {
      if (value.is_string()) build.build_args.emplace_back(name, value.get<std::string>());
    }
  }
  if (const Json* volumes = find_member(request, "volumes"); volumes && volumes->is_object()) {
    for (const auto& [host, path] : volumes->items()) {
      if (path.is_string()) build.volumes.emplace_back(host, path.get<std::string>());
    }
  }
  if (build.tags.empty())
    co_return fail(Error::bad_request("tags: Required value: name the image (-t NAME)"));
  auto built = co_await images_.build(
      std::move(build), [progress](std::string_view line) { progress(std::string(line)); });
  if (!built) co_return fail(built.error());
  co_return image_json(**built);
}

}  // namespace moth::agent

#include "api/client/event_recorder.h"

#include <fmt/format.h>

#include <deque>
#include <list>
#include <unordered_map>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/machinery/time.h"

namespace moth::client {
namespace {

// client-go's events_cache: similar events beyond 10 in 600 s are merged; an object may cause 25 at
// once, then one in 300 s.
constexpr int kMaxSimilar = 10;
constexpr auto kSimilarInterval = std::chrono::seconds(600);
constexpr double kBurst = 25;
constexpr double kRefillPerSecond = 1.0 / 300;
constexpr std::size_t kMaxMessage = 1024;
constexpr std::size_t kMaxQueued = 1000;
constexpr std::size_t kMaxRemembered = 1024;

struct Pending {
  Json involved;
  EventType type = EventType::kNormal;
  std::string reason, message;
  WallTime when;
};

// What was written before for one (object, type, reason, message).
struct Known {
  std::string name;
  std::int64_t count = 0;
  WallTime first;
};

struct Similar {
  int count = 0;
  MonoTime since;
};

struct Bucket {
  double tokens = kBurst;
  MonoTime filled;
};

// A map that forgets everything when it has grown too large: the cache only saves writes.
template <class Value>
class BoundedMap {
 public:
  Value& operator[](const std::string& key) {
    if (entries_.size() >= kMaxRemembered && !entries_.contains(key)) entries_.clear();
    return entries_[key];
  }

 private:
  std::unordered_map<std::string, Value> entries_;
};

}  // namespace

struct ClientEventRecorder::State {
  State(asio::any_io_executor control, Clock& the_clock, ObjectClient& the_client,
        RandomSource the_random, EventSource the_source)
      : clock(the_clock),
        client(the_client),
        random(std::move(the_random)),
        source(std::move(the_source)),
        changed(control),
        scope(control) {}

  Task<void> run();
  Task<void> write(Pending event);
  bool allowed(const std::string& object_key);

  Clock& clock;
  ObjectClient& client;
  RandomSource random;
  EventSource source;
  std::deque<Pending> queue;
  BoundedMap<Known> known;
  BoundedMap<Similar> similar;
  BoundedMap<Bucket> buckets;
  Notifier changed;
  TaskScope scope;
};

ClientEventRecorder::ClientEventRecorder(asio::any_io_executor control, Clock& clock,
                                         ObjectClient& client, RandomSource random,
                                         EventSource source)
    : state_(
          std::make_shared<State>(control, clock, client, std::move(random), std::move(source))) {
  state_->scope.spawn("event recorder", state_->run());
}

ClientEventRecorder::~ClientEventRecorder() = default;

Task<void> ClientEventRecorder::stop() {
  state_->scope.cancel();
  co_await state_->scope.join();
}

void ClientEventRecorder::record(const Object& about, EventType type, std::string_view reason,
                                 std::string message, std::string_view field_path) {
  if (state_->queue.size() >= kMaxQueued) return;
  Json involved = {{"kind", about.kind()},
                   {"apiVersion", about.api_version()},
                   {"name", about.name()},
                   {"uid", about.uid()},
                   {"resourceVersion", std::to_string(about.meta().resource_version)}};
  if (!about.ns().empty()) involved["namespace"] = about.ns();
  if (!field_path.empty()) involved["fieldPath"] = field_path;
  if (message.size() > kMaxMessage) message.resize(kMaxMessage);
  state_->queue.push_back(
      {std::move(involved), type, std::string(reason), std::move(message), state_->clock.wall()});
  state_->changed.notify();
}

Task<void> ClientEventRecorder::State::run() {
  for (;;) {
    while (queue.empty()) co_await changed.wait();
    Pending event = std::move(queue.front());
    queue.pop_front();
    co_await write(std::move(event));
  }
}

bool ClientEventRecorder::State::allowed(const std::string& object_key) {
  Bucket& bucket = buckets[object_key];
  MonoTime now = clock.mono();
  if (bucket.filled != MonoTime{}) {
    double seconds = std::chrono::duration<double>(now - bucket.filled).count();
    bucket.tokens = std::min(kBurst, bucket.tokens + seconds * kRefillPerSecond);
  }
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

Task<void> ClientEventRecorder::State::write(Pending event) {
  std::string object_key =
      string_or(event.involved, "uid") + string_or(event.involved, "fieldPath");
  std::string similar_key =
      fmt::format("{}|{}|{}", object_key, static_cast<int>(event.type), event.reason);
  Similar& group = similar[similar_key];
  MonoTime now = clock.mono();
  if (group.count == 0 || now - group.since > kSimilarInterval) group = {0, now};
  std::string key = similar_key + "|" + event.message;
  bool repeated = known[key].count > 0;
  if (!repeated && ++group.count > kMaxSimilar) {
    event.message = "(combined from similar events): " + event.message;
    key = similar_key + "|combined";
  }
  if (!allowed(object_key)) co_return;
  std::string ns = string_or(event.involved, "namespace", "default");
  std::string when = format_rfc3339(event.when);
  Known before = known[key];
  if (before.count > 0) {
    Json patch = {{"count", before.count + 1}, {"lastTimestamp", when}, {"message", event.message}};
    auto patched =
        co_await client.patch(gvr::kEvents, ns, before.name, PatchType::kMerge, std::move(patch));
    if (patched) {
      ++known[key].count;
      co_return;
    }
    // It is gone (an hour has passed): begin a new one.
  }
  std::string name = fmt::format("{}.{:016x}", string_or(event.involved, "name"), random());
  Json source_json = {{"component", source.component}};
  if (!source.host.empty()) source_json["host"] = source.host;
  Json object = {{"apiVersion", "v1"},
                 {"kind", "Event"},
                 {"metadata", {{"name", name}, {"namespace", ns}}},
                 {"involvedObject", std::move(event.involved)},
                 {"type", event.type == EventType::kNormal ? "Normal" : "Warning"},
                 {"reason", event.reason},
                 {"message", event.message},
                 {"source", std::move(source_json)},
                 {"firstTimestamp", when},
                 {"lastTimestamp", when},
                 {"count", 1},
                 {"reportingComponent", source.component},
                 {"reportingInstance", source.host}};
  auto created = co_await client.create(gvr::kEvents, ns, std::move(object));
  if (created) {
    known[key] = {name, 1, event.when};
  } else {
    log::debug("event not written", log::field("reason", event.reason),
               log::field("error", created.error().message));
  }
}

}  // namespace moth::client

#pragma once
// A node without a machine under it: containers, images, probes and the API are fakes, the workers
// are real. Everything happens on the thread of the test, which is the control thread.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/json.h"
#include "api/base/notifier.h"
#include "runtime/agent/pod_worker.h"
#include "runtime/os/fs.h"
#include "tests/unit/runtime/agent/config/pods.h"

namespace moth::agent {

// One process of a container. Lives on when its handles are gone.
struct FakeProcess {
  FakeProcess(asio::any_io_executor executor, std::string name)
      : id(std::move(name)), changed(std::move(executor)) {}
  void end(int code, int signal = 0, std::uint64_t oom_kills = 0) {
    if (ended) return;
    ended = true;
    exit.exit_code = code;
    exit.signal = signal;
    exit.oom_kills = oom_kills;
    exit.started_at = started.started_at;
    exit.finished_at = clock->wall();
    changed.notify();
  }
  std::string id;
  Notifier changed;
  Clock* clock = nullptr;
  bool ended = false;
  bool ignores_sigterm = false;
  shim::Started started;
  shim::Exit exit;
  std::vector<int> signals;
  int waiters = 0;
};

class FakeContainer final : public shim::Container {
 public:
  explicit FakeContainer(std::shared_ptr<FakeProcess> process) : process_(std::move(process)) {}
  const std::string& id() const override { return process_->id; }
  const shim::Started& started() const override { return process_->started; }
  Task<Result<shim::Exit>> wait() override {
    struct Count {
      explicit Count(FakeProcess& of) : process(of) {
        EXPECT_EQ(++process.waiters, 1) << "two wait for one container";
      }
      ~Count() { --process.waiters; }
      FakeProcess& process;
    } count(*process_);
    while (!process_->ended) co_await process_->changed.wait();
    co_return process_->exit;
  }
  Result<void> signal(int number) override {
    if (process_->ended) return fail(Error::not_found("processes", process_->id));
    process_->signals.push_back(number);
    if (number == SIGKILL) {
      process_->end(137, SIGKILL);
    } else if (!process_->ignores_sigterm) {
      process_->end(128 + number, number);
    }
    return {};
  }
  Task<Result<std::unique_ptr<shim::Streams>>> attach() override {
    co_return fail(Error::internal("no streams"));
  }
  Task<Result<std::unique_ptr<shim::ExecSession>>> exec(shim::ExecRequest) override {
    co_return fail(Error::internal("no commands"));
  }
  Task<Result<shim::ProbeResult>> run_command(std::vector<std::string>, Duration,
                                              std::size_t) override {
    co_return fail(Error::internal("no commands"));
  }

 private:
  std::shared_ptr<FakeProcess> process_;
};

class FakeRuntime final : public oci::Runtime {
 public:
  FakeRuntime(asio::any_io_executor executor, Clock& clock)
      : executor_(std::move(executor)), clock_(clock) {}

  Task<Result<std::unique_ptr<shim::Container>>> start(oci::CreateRequest request) override {
    if (!start_errors.empty()) {
      std::string text = start_errors.front();
      start_errors.pop_front();
      co_return fail(Error::of(Reason::kInternalError, text));
    }
    auto process = std::make_shared<FakeProcess>(executor_, request.config.id);
    process->clock = &clock_;
    process->started.started_at = clock_.wall();
    processes[request.config.id] = process;
    started.push_back(request.config.id);
    co_return std::make_unique<FakeContainer>(process);
  }
  Task<Result<std::unique_ptr<shim::Container>>> adopt(std::string id, std::string) override {
    auto it = processes.find(id);
    if (it == processes.end()) co_return fail(Error::not_found("containers", id));
    co_return std::make_unique<FakeContainer>(it->second);
  }
  void remove(std::string id, std::string, std::string) override {
    if (auto it = processes.find(id); it != processes.end()) {
      EXPECT_TRUE(it->second->ended) << id << " was removed alive";
      processes.erase(it);
    }
  }
  // Takes a turn of the loop, as the real one does.
  Task<void> removed() override {
    asio::steady_timer timer(executor_, std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable);
  }
  Task<Result<shim::Started>> start_pause(std::string, std::string, std::string, std::string,
                                          std::string) override {
    co_return shim::Started{};
  }
  Result<shim::Started> adopt_pause(const std::string&) override { return shim::Started{}; }
  std::string version() const override { return "fake 1"; }

  std::map<std::string, std::shared_ptr<FakeProcess>> processes;  // not yet removed
  std::vector<std::string> started;                               // ids, in order
  std::deque<std::string> start_errors;

 private:
  asio::any_io_executor executor_;
  Clock& clock_;
};

class FakeFactory final : public ContainerFactory {
 public:
  explicit FakeFactory(asio::any_io_executor executor) : opened_(std::move(executor)) {}

  Task<tl::expected<PulledImage, FactoryError>> pull(const PodContext&,
                                                     const resources::Container& c) override {
    pulls.push_back(c.name);
    while (held.contains(c.name)) co_await opened_.wait();
    if (auto& errors = pull_errors[c.name]; !errors.empty()) {
      FactoryError error = errors.front();
      errors.pop_front();
      co_return tl::unexpected(error);
    }
    co_return PulledImage{
        "docker.io/library/" + c.image, "repo@sha256:1", "local", false, {}, {}, 1};
  }
  Task<tl::expected<oci::CreateRequest, FactoryError>> create(const PodContext& pod,
                                                              const resources::Container& c,
                                                              const PulledImage&,
                                                              int attempt) override {
    if (auto& errors = create_errors[c.name]; !errors.empty()) {
      FactoryError error = errors.front();
      errors.pop_front();
      co_return tl::unexpected(error);
    }
    oci::CreateRequest request;
    request.config.id = container_id(pod.uid, c.name, attempt);
    request.bundle = "/nowhere";
    co_return request;
  }
  Task<Result<>> remove(const PodContext&, std::string container, int attempt) override {
    removed.push_back(fmt::format("{}/{}", container, attempt));
    co_return Result<>{};
  }
  int stop_signal(const resources::Container& c, const std::string&) const override {
    return c.stop_signal == "SIGUSR1" ? SIGUSR1 : SIGTERM;
  }
  void release(const std::string& name) {
    held.erase(name);
    opened_.notify();
  }

  std::set<std::string> held;  // pulls that hang
  std::map<std::string, std::deque<FactoryError>> pull_errors, create_errors;
  std::vector<std::string> pulls, removed;

 private:
  Notifier opened_;
};

class FakeProbers final : public ProberFactory {
 public:
  explicit FakeProbers(Clock& clock) : clock_(clock) {}

  std::unique_ptr<Prober> start(const PodContext&, const resources::Container& c, shim::Container&,
                                WallTime, bool, std::function<void(ProbeVerdict)> sink) override {
    verdicts[c.name] = std::move(sink);
    return std::make_unique<One>(*this, c.name);
  }
  Task<Result<>> run_hook(const PodContext&, const resources::Container& c,
                          const resources::Handler& handler, shim::Container&) override {
    hooks.push_back(c.name + ":" + (handler.command.empty() ? "" : handler.command.front()));
    if (auto it = hook_times.find(c.name); it != hook_times.end())
      co_await clock_.sleep_for(it->second);
    if (auto it = hook_errors.find(c.name); it != hook_errors.end())
      co_return fail(Error::of(Reason::kInternalError, it->second));
    co_return Result<>{};
  }
  void say(const std::string& name, ProbeKind kind, bool success) {
    ASSERT_TRUE(verdicts.contains(name)) << name;
    verdicts[name]({kind, success, "said so"});
  }

  std::map<std::string, std::function<void(ProbeVerdict)>> verdicts;
  std::set<std::string> terminating, stopped;
  std::vector<std::string> hooks;
  std::map<std::string, Duration> hook_times;
  std::map<std::string, std::string> hook_errors;

 private:
  struct One final : Prober {
    One(FakeProbers& all, std::string of) : owner(all), name(std::move(of)) {}
    void terminating() override { owner.terminating.insert(name); }
    Task<void> stop() override {
      owner.stopped.insert(name);
      co_return;
    }
    FakeProbers& owner;
    std::string name;
  };
  Clock& clock_;
};

class FakeEvents final : public client::EventRecorder {
 public:
  void record(const Object&, client::EventType type, std::string_view reason, std::string message,
              std::string_view) override {
    lines.push_back(fmt::format(
        "{} {}: {}", type == client::EventType::kNormal ? "Normal" : "Warning", reason, message));
  }
  bool has(const std::string& line) const {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
  }
  std::vector<std::string> lines;
};

class FakeResource final : public PodResource {
 public:
  explicit FakeResource(std::string name) : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  Task<Result<>> prepare(PodContext& pod) override {
    calls.push_back("prepare");
    if (!errors.empty()) {
      std::string text = errors.front();
      errors.pop_front();
      co_return fail(Error::of(Reason::kInternalError, text));
    }
    pod.pod_ip = "10.244.0.9";
    pod.netns_path = "/run/netns";
    co_return Result<>{};
  }
  Task<Result<>> update(PodContext&) override {
    calls.push_back("update");
    co_return Result<>{};
  }
  Task<Result<>> cleanup(PodContext&) override {
    calls.push_back("cleanup");
    if (!cleanup_errors.empty()) {
      std::string text = cleanup_errors.front();
      cleanup_errors.pop_front();
      co_return fail(Error::of(Reason::kInternalError, text));
    }
    co_return Result<>{};
  }
  std::deque<std::string> errors, cleanup_errors;
  std::vector<std::string> calls;

 private:
  std::string name_;
};

// The API: one table of pods, whose status is written and which are removed for good.
class FakeApi final : public client::ObjectClient, public client::ObjectReader {
 public:
  using Change = client::ObjectReader::Change;

  void put(ObjectPtr pod) {
    ObjectPtr before = std::exchange(pods[pod->name()], pod);
    if (listener) listener({pod, before});
  }
  void erase(const std::string& name) {
    auto it = pods.find(name);
    if (it == pods.end()) return;
    ObjectPtr before = it->second;
    pods.erase(it);
    if (listener) listener({nullptr, before});
  }

  ObjectPtr get(const Gvr&, std::string_view, std::string_view name) const override {
    auto it = pods.find(std::string(name));
    return it == pods.end() ? nullptr : it->second;
  }
  std::vector<ObjectPtr> list(const Gvr&, std::string_view) const override {
    std::vector<ObjectPtr> all;
    for (const auto& [name, pod] : pods) all.push_back(pod);
    return all;
  }
  void subscribe(const Gvr&, Listener sink) override { listener = std::move(sink); }

  Task<Result<ObjectPtr>> get(Gvr, std::string, std::string name, std::string) override {
    auto it = pods.find(name);
    if (it == pods.end()) co_return fail(Error::not_found("pods", name));
    co_return it->second;
  }
  Task<Result<client::ObjectList>> list(Gvr, std::string, client::ListOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(Gvr, std::string,
                                                           client::ListOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<ObjectPtr>> create(Gvr, std::string, Json, client::WriteOptions,
                                 std::string) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<ObjectPtr>> update(Gvr, std::string, std::string name, Json object,
                                 client::WriteOptions options) override {
    EXPECT_EQ(options.subresource, "status");
    auto it = pods.find(name);
    if (it == pods.end()) co_return fail(Error::not_found("pods", name));
    Json dom = it->second->parse();
    dom["status"] = object["status"];
    ++status_writes;
    put(Object::from_json(dom));
    co_return pods[name];
  }
  Task<Result<ObjectPtr>> patch(Gvr, std::string, std::string, client::PatchType, Json,
                                client::WriteOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<ObjectPtr>> remove(Gvr, std::string, std::string name,
                                 client::DeleteOptions options) override {
    EXPECT_EQ(options.grace_period_seconds, 0);
    auto it = pods.find(name);
    if (it == pods.end() || it->second->uid() != options.precondition_uid)
      co_return fail(Error::not_found("pods", name));
    last_words = it->second;
    erase(name);
    co_return ObjectPtr();
  }

  std::map<std::string, ObjectPtr> pods;
  ObjectPtr last_words;  // the removed pod, as it was at the end
  Listener listener;
  int status_writes = 0;
};

class PodLab {
 public:
  PodLab() {
    std::string pattern = (std::filesystem::temp_directory_path() / "moth-pods-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    services_.emplace(
        WorkerServices{executors,
                       clock,
                       Paths(folder_ + "/data", folder_ + "/run"),
                       api,
                       events,
                       runtime,
                       factory,
                       probers,
                       {&resource},
                       [this](std::string ip) -> Task<Result<>> { return note("withdraw " + ip); },
                       [this](std::string ip) -> Task<Result<>> { return note("readmit " + ip); },
                       [this](const std::string& uid, const std::string& ip) {
                         trace.push_back("reserve " + uid + " " + ip);
                       },
                       "moth-test",
                       "box",
                       "192.168.1.5"});
  }
  ~PodLab() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // Runs the test on the control thread.
  void run(std::function<Task<void>()> body) {
    asio::co_spawn(executors.control(), body(), [this](std::exception_ptr error) {
      EXPECT_FALSE(error) << "the test threw";
      executors.stop();
    });
    executors.run();
  }

  // Lets everything run until `condition` holds; fails after five seconds.
  Task<bool> until(std::function<bool()> condition) {
    auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) co_return false;
      co_await turn();
    }
    co_return true;
  }
  // Until the container's process lives and its worker, which may come later, knows of it.
  Task<bool> until_running(std::string uid, std::string container, int attempt,
                           std::function<PodWorker*()> worker_of) {
    auto id = container_id(uid, container, attempt);
    co_return co_await until([&] {
      auto alive = process(id);
      PodWorker* worker = worker_of();
      return alive && !alive->ended && worker && worker->running(container);
    });
  }
  // Lets what can run do so.
  Task<void> settle() {
    for (int i = 0; i < 20; ++i) co_await turn();
  }
  Task<void> advance(Duration time) {
    co_await settle();
    clock.advance(time);
    co_await settle();
  }

  WorkerServices& services() { return *services_; }
  const Paths& paths() const { return services_->paths; }
  std::shared_ptr<FakeProcess> process(const std::string& id) {
    auto it = runtime.processes.find(id);
    return it == runtime.processes.end() ? nullptr : it->second;
  }

  // The pod's object as the API has it, and one thing of its status.
  Json pod(const std::string& name = "web-0") {
    ObjectPtr found = api.pods.contains(name) ? api.pods[name] : nullptr;
    return found ? found->parse() : Json(nullptr);
  }
  std::string phase() {
    const Json now = pod();
    const Json* status = find_member(now, "status");
    return status ? string_or(*status, "phase") : "";
  }
  Json container_status(const std::string& container) {
    const Json now = pod();
    for (const char* list :
         {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"}) {
      const Json* statuses = find_path(now, "status", list);
      if (!statuses) continue;
      for (const Json& status : *statuses) {
        if (string_or(status, "name") == container) return status;
      }
    }
    return nullptr;
  }
  // "running", "waiting CrashLoopBackOff", "terminated Error 1".
  std::string state(const std::string& container, const char* field = "state") {
    const Json status = container_status(container);
    const Json* state = find_member(status, field);
    if (!state || state->empty()) return "none";
    std::string kind = state->items().begin().key();
    const Json& detail = (*state)[kind];
    if (kind == "running") return kind;
    if (kind == "waiting") return "waiting " + string_or(detail, "reason");
    return fmt::format("terminated {} {}", string_or(detail, "reason"), int_or(detail, "exitCode"));
  }
  std::string condition(const std::string& type) {
    const Json now = pod();
    const Json* conditions = find_path(now, "status", "conditions");
    if (!conditions) return "";
    for (const Json& one : *conditions) {
      if (string_or(one, "type") == type) return string_or(one, "status");
    }
    return "";
  }

  Executors executors{2};
  FakeClock clock;
  FakeApi api;
  FakeEvents events;
  FakeRuntime runtime{executors.control(), clock};
  FakeFactory factory{executors.control()};
  FakeProbers probers{clock};
  FakeResource resource{"network"};
  std::vector<std::string> trace;

 private:
  Task<void> turn() {
    asio::steady_timer timer(executors.control(), std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable);
  }
  Task<Result<>> note(std::string line) {
    trace.push_back(std::move(line));
    co_return Result<>{};
  }

  std::string folder_;
  std::optional<WorkerServices> services_;
};

}  // namespace moth::agent

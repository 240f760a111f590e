#include "runtime/oci/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "runtime/oci/capabilities.h"
#include "runtime/oci/seccomp.h"
#include "runtime/oci/start_queue.h"
#include "runtime/os/fs.h"
#include "runtime/os/proc.h"
#include "runtime/os/subprocess.h"
#include "runtime/shim/protocol.h"

namespace moth::oci {

namespace {

constexpr auto kKillPatience = std::chrono::seconds(10);
constexpr std::size_t kMaxSpecBytes = 4 * 1024 * 1024;

int number_of_capability(std::string_view name) {
  return capability_number(name).value_or(-1);
}

Result<std::string> runtime_version(const std::string& program) {
  MOTH_ASSIGN(const os::RunResult result, os::run_blocking({program, "--version"}));
  if (!result.status.success()) {
    return fail(
        Error::internal(fmt::format("{} --version: {}", program, result.status.describe())));
  }
  // "runc version 1.1.5+ds1\n...", "crun version 1.8.1\n..."
  const std::string line = result.out.substr(0, result.out.find('\n'));
  const auto word = line.find(" version ");
  if (word == std::string::npos) return line;
  return line.substr(0, word) + " " + line.substr(word + 9);
}

// crun 1.8 refuses hybrid machines whatever it is told.
Result<void> check_runtime(const std::string& program, const cgroups::Layout& layout) {
  if (std::filesystem::path(program).filename() != "crun") return {};
  const cgroups::Hierarchy* unified = layout.v2();
  const bool hybrid = unified && layout.hierarchies.size() > 1;
  if (!hybrid || unified->controllers.empty()) return {};
  return fail(Error::of(Reason::kInvalid,
                        "crun does not work on a machine with cgroup v1 and v2 controllers at the "
                        "same time: use runc as the OCI runtime"));
}

}  // namespace

struct Driver::State {
  State(Executors& e, cgroups::Manager& c, DriverOptions o)
      : executors(e),
        cgroups(c),
        options(std::move(o)),
        client(options.programs, options.host.oom_score_adj_floor),
        starts(options.parallel_starts),
        removals(std::max(1, os::cpu_count())),
        scope(e.control()),
        idle(e.control()) {}

  Executors& executors;
  cgroups::Manager& cgroups;
  const DriverOptions options;
  shim::Client client;
  StartQueue starts, removals;
  TaskScope scope;
  Notifier idle;
  std::size_t removing = 0;
  std::string version;

  // On the blocking executor.
  Result<shim::ExecContext> write_bundle(CreateRequest& request) const;
  Result<shim::ExecContext> exec_context(const Json& spec) const;
  Result<shim::ExecContext> read_bundle(const std::string& bundle) const;
  Result<std::string> compiled_seccomp(const Json& profile) const;
  Result<void> clear_groups(const std::string& cgroups_path) const;

  Task<Result<void>> delete_from_runtime(std::string id) const;
};

// Filters are kept by content: containers share a few.
Result<std::string> Driver::State::compiled_seccomp(const Json& profile) const {
  const std::string folder = options.programs.runtime_root + "-seccomp";
  const std::string path =
      fmt::format("{}/{:016x}.bpf", folder, std::hash<std::string>()(profile.dump()));
  if (os::exists(path)) return path;
  MOTH_ASSIGN(const std::string program, compile_seccomp(profile));
  MOTH_TRY(os::make_dirs(folder, 0700));
  MOTH_TRY(os::write_file_atomic(path, program, 0600, false));
  return path;
}

Result<shim::ExecContext> Driver::State::exec_context(const Json& spec) const {
  MOTH_ASSIGN(shim::ExecContext context, shim::exec_context_of_spec(spec, number_of_capability));
  const Json* linux_part = find_member(spec, "linux");
  if (!linux_part) return fail(Error::bad_request("config.json: linux is missing"));
  context.join_files = cgroups.join_files(string_or(*linux_part, "cgroupsPath"));
  if (const Json* profile = find_member(*linux_part, "seccomp"); profile && profile->is_object()) {
    MOTH_ASSIGN(context.seccomp_bpf_path, compiled_seccomp(*profile));
  }
  return context;
}

Result<shim::ExecContext> Driver::State::write_bundle(CreateRequest& request) const {
  MOTH_TRY(resolve_devices(request.config));
  MOTH_ASSIGN(const Json spec, build_spec(request.config, options.host));
  // Environment variables are secrets often enough.
  MOTH_TRY(os::write_file(request.bundle + "/" MOTH_SHIM_CONFIG, spec.dump(), 0600));
  return exec_context(spec);
}

Result<shim::ExecContext> Driver::State::read_bundle(const std::string& bundle) const {
  MOTH_ASSIGN(const std::string text, os::read_file(bundle + "/" MOTH_SHIM_CONFIG, kMaxSpecBytes));
  const Json spec = Json::parse(text, nullptr, false);
  if (!spec.is_object()) {
    return fail(Error::internal(fmt::format("{}/config.json cannot be read", bundle)));
  }
  return exec_context(spec);
}

Result<void> Driver::State::clear_groups(const std::string& cgroups_path) const {
  MOTH_TRY(cgroups.kill_all(cgroups_path, kKillPatience));
  return cgroups.remove(cgroups_path);
}

Task<Result<void>> Driver::State::delete_from_runtime(std::string id) const {
  std::vector<std::string> argv = {options.programs.runtime};
  if (!options.programs.runtime_root.empty()) {
    argv.insert(argv.end(), {"--root", options.programs.runtime_root});
  }
  argv.insert(argv.end(), {"delete", std::move(id)});
  Result<std::string> deleted = co_await os::run_checked(std::move(argv));
  if (deleted) co_return Result<void>{};
  // Never started, or deleted before.
  if (deleted.error().message.find("does not exist") != std::string::npos ||
      deleted.error().message.find("No such file") != std::string::npos) {
    co_return Result<void>{};
  }
  co_return fail(std::move(deleted).error());
}

Result<std::unique_ptr<Driver>> Driver::create(Executors& executors, cgroups::Manager& cgroups,
                                               DriverOptions options) {
  shim::Programs& programs = options.programs;
  for (std::string* program : {&programs.runtime, &programs.shim}) {
    auto found = os::find_program(*program);
    if (!found) return fail(std::move(found.error().with_context("OCI runtime")));
    *program = std::filesystem::absolute(*found).string();
  }
  MOTH_TRY(check_runtime(programs.runtime, cgroups.layout()));
  if (programs.runtime_root.empty()) {
    return fail(Error::bad_request("OCI runtime: no state folder was configured"));
  }
  MOTH_TRY(os::make_dirs(programs.runtime_root, 0700));
  if (options.parallel_starts <= 0) options.parallel_starts = 2 * os::cpu_count();
  MOTH_ASSIGN(std::string version, runtime_version(programs.runtime));
  auto state = std::make_shared<State>(executors, cgroups, std::move(options));
  state->version = std::move(version);
  return std::unique_ptr<Driver>(new Driver(std::move(state)));
}

Driver::Driver(std::shared_ptr<State> state) : state_(std::move(state)) {}
Driver::~Driver() = default;

std::string Driver::version() const {
  return state_->version;
}

Task<Result<std::unique_ptr<shim::Container>>> Driver::start(CreateRequest request) {
  const std::shared_ptr<State> state = state_;
  const StartQueue::Place place = co_await state->starts.enter(request.priority);
  MOTH_CO_ASSIGN(shim::ExecContext context, co_await call_on(state->executors.blocking(), [&] {
                   return state->write_bundle(request);
                 }));
  shim::StartRequest start;
  start.id = request.config.id;
  start.bundle = request.bundle;
  start.log_path = request.log_path;
  start.log_max_bytes = request.log_max_bytes;
  start.log_max_files = request.log_max_files;
  start.tty = request.config.tty;
  start.with_stdin = request.with_stdin;
  start.stdin_once = request.stdin_once;
  start.oom_file = state->cgroups.oom_file(request.config.cgroups_path);
  if (!state->options.shim_cgroup.empty()) {
    start.shim_join_files = state->cgroups.join_files(state->options.shim_cgroup);
  }
  Result<std::unique_ptr<shim::Container>> container =
      co_await state->client.start(std::move(start), std::move(context));
  co_return container;
}

Task<Result<std::unique_ptr<shim::Container>>> Driver::adopt(std::string id, std::string bundle) {
  const std::shared_ptr<State> state = state_;
  // A bundle without the shim's record was never started, whatever else lies there.
  if (!os::exists(bundle + "/" MOTH_SHIM_STATE)) {
    co_return fail(Error::of(Reason::kNotFound, fmt::format("container {} never ran", id)));
  }
  MOTH_CO_ASSIGN(shim::ExecContext context, co_await call_on(state->executors.blocking(), [&] {
                   return state->read_bundle(bundle);
                 }));
  co_return state->client.adopt(std::move(id), std::move(bundle), std::move(context));
}

namespace {

// Counts a removal down on every way out.
struct Countdown {
  std::size_t& count;
  Notifier& idle;
  ~Countdown() {
    if (--count == 0) idle.notify();
  }
};

}  // namespace

// State is kept by the task itself: the driver may be gone when it ends.
Task<void> Driver::remove_in_background(std::shared_ptr<State> state, std::string id,
                                        std::string bundle, std::string cgroups_path) {
  const Countdown countdown{state->removing, state->idle};
  const StartQueue::Place place = co_await state->removals.enter(0);
  // First: the runtime deletes only what has no processes, and removing a group with a living task
  // would let that task go on without limits.
  Result<void> cleared = co_await call_on(state->executors.blocking(), [&] {
    return state->cgroups.kill_all(cgroups_path, kKillPatience);
  });
  Result<void> deleted = co_await state->delete_from_runtime(id);
  if (cleared) {
    cleared = co_await call_on(state->executors.blocking(),
                               [&] { return state->clear_groups(cgroups_path); });
  }
  for (const Result<void>* result : {&cleared, &deleted}) {
    if (*result) continue;
    log::warning("a container was not removed completely", log::field("container", id),
                 log::field("bundle", bundle), log::field("error", result->error().message));
  }
}

void Driver::remove(std::string id, std::string bundle, std::string cgroups_path) {
  if (state_->scope.cancelled()) return;
  ++state_->removing;
  state_->scope.spawn(
      "remove container",
      remove_in_background(state_, std::move(id), std::move(bundle), std::move(cgroups_path)));
}

Task<void> Driver::removed() {
  const std::shared_ptr<State> state = state_;
  while (state->removing > 0) co_await state->idle.wait();
}

Task<Result<shim::Started>> Driver::start_pause(std::string record_path, std::string cgroups_path,
                                                std::string ipc_namespace,
                                                std::string uts_namespace,
                                                std::string net_namespace) {
  const std::shared_ptr<State> state = state_;
  MOTH_CO_TRY(co_await call_on(state->executors.blocking(), [&] {
    return state->cgroups.ensure_group(cgroups_path, cgroups::Limits());
  }));
  shim::Client::PauseRequest request;
  request.record_path = std::move(record_path);
  request.join_files = state->cgroups.join_files(cgroups_path);
  request.ipc_namespace = std::move(ipc_namespace);
  request.uts_namespace = std::move(uts_namespace);
  request.net_namespace = std::move(net_namespace);
  Result<shim::Started> started = co_await state->client.start_pause(std::move(request));
  co_return started;
}

Result<shim::Started> Driver::adopt_pause(const std::string& record_path) {
  return state_->client.adopt_pause(record_path);
}

Task<void> Driver::stop() {
  const std::shared_ptr<State> state = state_;
  state->scope.cancel();
  co_await state->scope.join();
}

}  // namespace moth::oci

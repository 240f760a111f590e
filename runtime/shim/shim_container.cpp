#include "runtime/shim/shim_container.h"

#include <csignal>

#include "api/base/log.h"
#include "runtime/os/pidfd.h"
#include "runtime/shim/attach_streams.h"
#include "runtime/shim/protocol.h"
#include "runtime/shim/records.h"

namespace moth::shim {

ShimContainer::ShimContainer(std::string id, std::string bundle, ExecTarget target)
    : id_(std::move(id)), bundle_(std::move(bundle)), target_(std::move(target)) {}

// Nullopt: the shim left without telling.
Task<Result<std::optional<Exit>>> ShimContainer::wait_on_socket() {
  auto connection = connect_to_shim(bundle_);
  if (!connection) co_return std::optional<Exit>{};
  auto greeted = co_await send_frame(connection->get(), MOTH_SHIM_HELLO, "w");
  if (!greeted) co_return std::optional<Exit>{};
  while (true) {
    MOTH_CO_ASSIGN(const Frame frame, co_await receive_frame(connection->get()));
    if (frame.type == 0) co_return std::optional<Exit>{};
    if (frame.type != MOTH_SHIM_EXITED) continue;
    MOTH_CO_ASSIGN(const Exit exit, parse_exit(frame.payload));
    co_return std::optional<Exit>(exit);
  }
}

// A container whose shim was killed writes into pipes without a reader and nobody learns its exit
// code: it is ended.
Task<void> ShimContainer::wait_for_orphan() {
  auto shim = os::ProcessHandle::open(started().shim_pid, started().shim_start_time);
  // It closes its socket before it ends; it is on its way.
  if (shim) co_await shim->wait_gone();
  auto init = os::ProcessHandle::open(started().pid, started().start_time);
  if (!init) co_return;
  log::warning("a container lost its shim and is killed", log::field("container", id_));
  (void)init->signal(SIGKILL);
  co_await init->wait_gone();
}

Task<Result<Exit>> ShimContainer::wait() {
  if (exit_) co_return *exit_;
  MOTH_CO_ASSIGN(exit_, co_await wait_on_socket());
  if (exit_) co_return *exit_;
  if (auto record = read_exit(bundle_)) {
    exit_ = *record;
    co_return *exit_;
  }
  co_await wait_for_orphan();
  if (auto record = read_exit(bundle_)) {
    exit_ = *record;
    co_return *exit_;
  }
  Exit unknown;
  unknown.exit_code = 137;
  unknown.started_at = started().started_at;
  unknown.finished_at = std::chrono::system_clock::now();
  unknown.unknown = true;
  exit_ = unknown;
  co_return *exit_;
}

Result<void> ShimContainer::signal(int number) {
  MOTH_ASSIGN(const os::ProcessHandle init,
              os::ProcessHandle::open(started().pid, started().start_time));
  return init.signal(number);
}

Task<Result<std::unique_ptr<Streams>>> ShimContainer::attach() {
  // The shim still listens for a moment after it told of the end.
  Result<os::UniqueFd> connection = fail(Error::not_found("containers", id_));
  if (!exit_) connection = connect_to_shim(bundle_);
  if (!connection) {
    co_return fail(Error::of(Reason::kConflict, "cannot attach to a stopped container"));
  }
  MOTH_CO_TRY(co_await send_frame(connection->get(), MOTH_SHIM_HELLO, "a"));
  co_return make_attach_streams(std::move(*connection));
}

Task<Result<std::unique_ptr<ExecSession>>> ShimContainer::exec(ExecRequest request) {
  Result<std::unique_ptr<ExecSession>> session = co_await start_exec(target_, std::move(request));
  co_return session;
}

Task<Result<ProbeResult>> ShimContainer::run_command(std::vector<std::string> argv,
                                                     Duration timeout, std::size_t max_output) {
  Result<ProbeResult> result = co_await run_exec(target_, std::move(argv), timeout, max_output);
  co_return result;
}

}  // namespace moth::shim

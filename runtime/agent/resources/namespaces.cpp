#include "runtime/agent/resources/namespaces.h"

#include <fmt/format.h>
#include <sys/mount.h>

#include <algorithm>
#include <csignal>

#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"
#include "runtime/os/namespaces.h"
#include "runtime/os/pidfd.h"
#include "runtime/os/proc.h"

namespace moth::agent {

namespace {

constexpr mode_t kPrivate = 0750;
constexpr const char* kSharedMemoryOptions = "mode=1777,size=65536k";

std::string ipc_path(const Paths& paths, const std::string& uid) {
  return paths.namespaces(uid) + "/ipc";
}

Result<> make_shared(const Paths& paths, const std::string& uid) {
  const std::string ipc = ipc_path(paths, uid), memory = shared_memory_path(paths, uid);
  MOTH_TRY(os::make_dirs(memory, kPrivate));
  if (!os::is_pinned_namespace(ipc)) {
    MOTH_TRY(os::remove_file(ipc));
    MOTH_TRY(os::pin_namespace(os::NamespaceKind::kIpc, ipc));
  }
  MOTH_ASSIGN(const bool mounted, os::is_mount_point(memory));
  if (mounted) return {};
  return os::mount("shm", memory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, kSharedMemoryOptions);
}

Result<> remove_shared(const Paths& paths, const std::string& uid) {
  MOTH_TRY(os::unmount_below(paths.namespaces(uid)));
  return os::remove_tree(paths.namespaces(uid));
}

// Only the very process of the record.
void end_process(const shim::Started& process) {
  auto pidfd = os::pidfd_open(process.pid);
  if (!pidfd) return;
  auto started = os::process_start_time(process.pid);
  if (!started || *started != process.start_time) return;
  (void)os::pidfd_signal(pidfd->get(), SIGKILL);
}

}  // namespace

bool shares_ipc(const resources::PodSpec& spec) {
  if (spec.host_ipc) return false;
  const auto sidecars = std::count_if(spec.init_containers.begin(), spec.init_containers.end(),
                                      [](const auto& container) { return container.is_sidecar(); });
  return spec.containers.size() + static_cast<std::size_t>(sidecars) > 1 ||
         spec.share_process_namespace;
}

std::string shared_memory_path(const Paths& paths, const std::string& pod_uid) {
  return paths.namespaces(pod_uid) + "/shm";
}

Task<Result<>> PodNamespaces::prepare(PodContext& pod) {
  const auto& spec = pod.view().spec();
  const std::string uid = pod.uid;
  const Paths& paths = services_.paths;
  const bool processes = spec.share_process_namespace && !spec.host_pid;
  if (shares_ipc(spec)) {
    auto made =
        co_await call_on(services_.executors.blocking(), [&] { return make_shared(paths, uid); });
    if (!made) {
      made.error().with_context("Failed to create pod sandbox");
      co_return made;
    }
    pod.ipc_namespace = ipc_path(paths, uid);
  }
  if (processes) co_return co_await share_processes(pod);
  co_return Result<>{};
}

Task<Result<>> PodNamespaces::share_processes(PodContext& pod) {
  const std::string record = services_.paths.pause(pod.uid);
  auto process = services_.runtime.adopt_pause(record);
  if (!process) {
    auto folder = co_await call_on(services_.executors.blocking(), [&] {
      return os::make_dirs(record.substr(0, record.rfind('/')), kPrivate);
    });
    if (!folder) co_return folder;
    process = co_await services_.runtime.start_pause(
        record, cgroups::container_path(pod.cgroup_path, pod.uid + "_pause"), pod.ipc_namespace,
        pod.uts_namespace, pod.netns_path);
  }
  if (!process) {
    process.error().with_context("Failed to create pod sandbox: process namespace");
    co_return fail(std::move(process).error());
  }
  pod.pid_namespace = fmt::format("/proc/{}/ns/pid", process->pid);
  co_return Result<>{};
}

Task<Result<>> PodNamespaces::cleanup(PodContext& pod) {
  const std::string uid = pod.uid, record = services_.paths.pause(pod.uid);
  const Paths& paths = services_.paths;
  if (auto process = services_.runtime.adopt_pause(record)) end_process(*process);
  auto removed = co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    MOTH_TRY(os::remove_file(record));
    return remove_shared(paths, uid);
  });
  if (!removed) co_return removed;
  pod.pid_namespace.clear();
  pod.ipc_namespace.clear();
  co_return Result<>{};
}

}  // namespace moth::agent

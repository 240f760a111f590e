#include "runtime/os/namespaces.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <thread>

#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"

namespace moth::os {

namespace {

struct KindFacts {
  int flag;
  const char* link;
};

KindFacts facts_of(NamespaceKind kind) {
  switch (kind) {
    case NamespaceKind::kNet:
      return {CLONE_NEWNET, "/proc/thread-self/ns/net"};
    case NamespaceKind::kIpc:
      return {CLONE_NEWIPC, "/proc/thread-self/ns/ipc"};
    case NamespaceKind::kUts:
      return {CLONE_NEWUTS, "/proc/thread-self/ns/uts"};
  }
  return {};
}

Result<void> make_here(NamespaceKind kind, const std::string& path, const std::string& host_name) {
  const KindFacts facts = facts_of(kind);
  if (::unshare(facts.flag) != 0) {
    return fail(Error::from_errno(errno, fmt::format("new namespace for {}", path)));
  }
  if (kind == NamespaceKind::kUts && !host_name.empty() &&
      ::sethostname(host_name.c_str(), host_name.size()) != 0) {
    return fail(Error::from_errno(errno, fmt::format("set host name {}", host_name)));
  }
  return mount(facts.link, path, "", MS_BIND, "");
}

}  // namespace

bool is_pinned_namespace(const std::string& path) {
  struct statfs fs;
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

Result<void> pin_namespace(NamespaceKind kind, const std::string& path,
                           const std::string& host_name) {
  if (is_pinned_namespace(path)) {
    return fail(Error::of(Reason::kAlreadyExists, fmt::format("namespace {} exists", path)));
  }
  UniqueFd handle(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444));
  if (!handle) return fail(Error::from_errno(errno, fmt::format("create {}", path)));
  Result<void> result;
  // The thread's other namespaces are ours; the new one dies with the thread unless it got pinned.
  std::thread([&] { result = make_here(kind, path, host_name); }).join();
  if (!result) ::unlink(path.c_str());
  return result;
}

Result<void> unpin_namespace(const std::string& path) {
  MOTH_TRY(unmount(path));
  return remove_file(path);
}

}  // namespace moth::os

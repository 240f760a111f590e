#include "runtime/os/kernel_features.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"
#include "runtime/os/pidfd.h"
#include "runtime/os/proc.h"

namespace moth::os {

namespace {

// Asks nf_tables for its generation: answered only when the subsystem is there (and we may use it).
bool nf_tables_answers() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket) return false;
  struct {
    nlmsghdr header;
    nfgenmsg body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(socket.get(), &request, sizeof request, 0, reinterpret_cast<sockaddr*>(&kernel),
               sizeof kernel) < 0) {
    return false;
  }
  timeval second{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  alignas(nlmsghdr) char answer[4096];
  const ssize_t n = ::recv(socket.get(), answer, sizeof answer, 0);
  if (n < static_cast<ssize_t>(sizeof(nlmsghdr))) return false;
  return reinterpret_cast<nlmsghdr*>(answer)->nlmsg_type != NLMSG_ERROR;
}

bool file_says(const char* path, char expected) {
  auto text = read_file(path, 64);
  return text && !text->empty() && text->front() == expected;
}

std::uint64_t hex_field(const char* field) {
  auto text = process_status_field(::getpid(), field);
  std::uint64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value, 16);
  return value;
}

void detect_mount_api(KernelFeatures& features) {
  UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
  features.new_mount_api = context || errno != ENOSYS;
  if (context) {
    features.overlay = true;
    features.overlay_lowerdir_plus =
        ::fsconfig(context.get(), FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0;
    return;
  }
  auto known = read_file("/proc/filesystems");
  features.overlay = known && known->find("\toverlay\n") != std::string::npos;
}

void detect_cgroups(KernelFeatures& features) {
  auto mounts = list_mounts();
  if (!mounts) return;
  for (const MountEntry& entry : *mounts) {
    features.cgroup_v1 |= entry.fs_type == "cgroup";
    features.cgroup_v2 |= entry.fs_type == "cgroup2";
  }
}

}  // namespace

KernelFeatures detect_kernel_features() {
  KernelFeatures features;
  features.root = ::geteuid() == 0;
  detect_mount_api(features);
  detect_cgroups(features);
  features.pidfd = pidfd_open(::getpid()).has_value();
  auto root = DirFd::open("/");
  features.openat2 = root && root->open_in_root("/", O_PATH | O_DIRECTORY).has_value();
  features.seccomp = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
  features.netfilter = nf_tables_answers();
  features.ip_forwarding = file_says("/proc/sys/net/ipv4/ip_forward", '1');
  features.user_namespaces =
      exists("/proc/self/ns/user") && !file_says("/proc/sys/user/max_user_namespaces", '0');
  features.apparmor = file_says("/sys/module/apparmor/parameters/enabled", 'Y');
  features.selinux = exists("/sys/fs/selinux/enforce");
  const std::uint64_t effective = hex_field("CapEff");
  features.sys_resource = (effective >> CAP_SYS_RESOURCE & 1) != 0;
  features.capability_bounds = hex_field("CapBnd") & hex_field("CapPrm");
  if (features.sys_resource) {
    features.oom_score_adj_floor = -1000;
  } else if (auto own = read_file("/proc/self/oom_score_adj", 64)) {
    features.oom_score_adj_floor = std::atoi(own->c_str());
  }
  return features;
}

std::vector<std::string> KernelFeatures::problems() const {
  std::vector<std::string> found;
  if (!root) found.push_back("mothd must run as root: start it with sudo or as a system service");
  if (!pidfd) found.push_back("the kernel has no pidfd_open: Linux 5.3 or later is needed");
  if (!openat2) found.push_back("the kernel has no openat2: Linux 5.6 or later is needed");
  if (!new_mount_api) found.push_back("the kernel has no open_tree: Linux 5.12 or later is needed");
  if (!overlay) found.push_back("overlayfs is missing: load it with \"modprobe overlay\"");
  if (!cgroup_v1 && !cgroup_v2) {
    found.push_back("no cgroup file system is mounted: mount cgroup2 on /sys/fs/cgroup");
  }
  if (!netfilter) found.push_back("nf_tables is missing: load it with \"modprobe nf_tables\"");
  if (!seccomp) found.push_back("the kernel is built without seccomp");
  return found;
}

}  // namespace moth::os

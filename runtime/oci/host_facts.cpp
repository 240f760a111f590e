// What a spec takes from the machine.
#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fmt/format.h>

#include <cerrno>

#include "runtime/oci/spec_builder.h"
#include "runtime/os/fs.h"
#include "runtime/os/proc.h"

namespace moth::oci {

namespace {

char type_of(mode_t mode) {
  if (S_ISCHR(mode)) return 'c';
  if (S_ISBLK(mode)) return 'b';
  if (S_ISFIFO(mode)) return 'p';
  return 0;
}

void fill(Device& device, const struct stat& st) {
  device.type = type_of(st.st_mode);
  device.major = major(st.st_rdev);
  device.minor = minor(st.st_rdev);
  if (!device.mode) device.mode = st.st_mode & 07777;
  if (!device.uid) device.uid = st.st_uid;
  if (!device.gid) device.gid = st.st_gid;
}

// Adds the nodes below a folder; links and what is no device are passed over.
void add_folder(const std::string& host, const std::string& inside, const std::string& access,
                int depth, std::vector<Device>& found) {
  auto entries = os::list_dir(host);
  if (!entries || depth > 4) return;
  for (const os::DirEntry& entry : *entries) {
    // Made by the runtime or by mounts of the container's own.
    if (depth == 0 && (entry.name == "pts" || entry.name == "shm" || entry.name == "mqueue" ||
                       entry.name == "fd" || entry.name == "console" || entry.name == "ptmx")) {
      continue;
    }
    const std::string path = host + "/" + entry.name;
    struct stat st;
    if (::lstat(path.c_str(), &st) != 0) continue;
    if (S_ISDIR(st.st_mode)) {
      add_folder(path, inside + "/" + entry.name, access, depth + 1, found);
    } else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
      Device device;
      device.path = inside + "/" + entry.name;
      device.access = access;
      fill(device, st);
      found.push_back(std::move(device));
    }
  }
}

}  // namespace

HostFacts host_facts(const os::KernelFeatures& features, const cgroups::Layout& layout) {
  HostFacts facts;
  facts.architecture = os::architecture();
  facts.capability_bounds = features.capability_bounds;
  facts.oom_score_adj_floor = features.oom_score_adj_floor;
  facts.cgroup_v2_only = features.cgroup_v2 && !features.cgroup_v1;
  facts.apparmor = features.apparmor;
  facts.selinux = features.selinux;
  facts.cgroup_namespace = os::exists("/proc/self/ns/cgroup");
  const cgroups::Hierarchy* memory = layout.find("memory");
  // On v2 runtimes pass over a missing file by themselves.
  facts.swap_accounting =
      memory && (memory->v2 || os::exists(memory->mount_point + "/memory.memsw.limit_in_bytes"));
  return facts;
}

Result<void> resolve_devices(ContainerConfig& config) {
  std::vector<Device> resolved;
  for (Device& device : config.devices) {
    if (device.type != 0) {
      resolved.push_back(std::move(device));
      continue;
    }
    const std::string host = device.host_path.empty() ? device.path : device.host_path;
    struct stat st;
    if (::stat(host.c_str(), &st) != 0) {
      return fail(Error::from_errno(errno, fmt::format("device {}", host)));
    }
    if (S_ISDIR(st.st_mode)) {
      add_folder(host, device.path, device.access, 1, resolved);
      continue;
    }
    fill(device, st);
    if (device.type == 0) {
      return fail(Error::of(Reason::kInvalid, fmt::format("device {}: not a device node", host)));
    }
    resolved.push_back(std::move(device));
  }
  if (config.privileged) add_folder("/dev", "/dev", "rwm", 0, resolved);
  config.devices = std::move(resolved);
  return {};
}

}  // namespace moth::oci

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "api/base/json.h"
#include "runtime/oci/capabilities.h"
#include "runtime/oci/image_user.h"
#include "runtime/oci/seccomp.h"
#include "runtime/oci/spec_builder.h"
#include "runtime/os/fs.h"

namespace moth::oci {
namespace {

TEST(Capabilities, NamesAndNumbers) {
  EXPECT_EQ(capability_number("CAP_CHOWN"), 0);
  EXPECT_EQ(capability_number("net_admin"), 12);
  EXPECT_EQ(capability_number("SYS_ADMIN"), 21);
  EXPECT_EQ(capability_number("CHECKPOINT_RESTORE"), 40);
  EXPECT_EQ(capability_number("SYS_NOTHING"), std::nullopt);
  EXPECT_EQ(capability_name(38), "CAP_PERFMON");
  EXPECT_EQ(capability_name(41), "");
  EXPECT_EQ(capability_mask({"CHOWN", "CAP_KILL"}), 0x21u);
}

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\n"
    "app:x:1000:1001::/home/app:/bin/sh\nbig:x:99999999999:1::/:\nodd:x:7:7::\n";
constexpr const char* kGroup =
    "root:x:0:\napp:x:1001:\nwheel:x:10:root,app\nvideo:x:44:app\nempty:x:60\n";

TEST(ImageUser, Resolves) {
  const auto by_name = resolve_user("app", kPasswd, kGroup).value();
  EXPECT_EQ(by_name.uid, 1000u);
  EXPECT_EQ(by_name.gid, 1001u);
  EXPECT_EQ(by_name.home, "/home/app");
  EXPECT_EQ(by_name.additional_gids, (std::vector<std::uint32_t>{10, 44}));
  const auto root = resolve_user("", kPasswd, kGroup).value();
  EXPECT_EQ(root.uid, 0u);
  EXPECT_EQ(root.home, "/root");
  EXPECT_EQ(root.additional_gids, std::vector<std::uint32_t>{10});
  const auto by_id = resolve_user("1000", kPasswd, kGroup).value();
  EXPECT_EQ(by_id.name, "app");
  EXPECT_EQ(by_id.gid, 1001u);
  const auto unknown = resolve_user("4711", kPasswd, kGroup).value();
  EXPECT_EQ(unknown.uid, 4711u);
  EXPECT_EQ(unknown.gid, 0u);
  EXPECT_EQ(unknown.home, "/");
  const auto with_group = resolve_user("app:video", kPasswd, kGroup).value();
  EXPECT_EQ(with_group.gid, 44u);
  EXPECT_TRUE(with_group.additional_gids.empty());
  EXPECT_EQ(resolve_user("4711:4712", "", "").value().gid, 4712u);
}

TEST(ImageUser, TellsWhatIsMissing) {
  EXPECT_EQ(resolve_user("nobody", kPasswd, kGroup).error().message,
            "no user \"nobody\" in the image's /etc/passwd");
  EXPECT_EQ(resolve_user("app:none", kPasswd, kGroup).error().message,
            "no group \"none\" in the image's /etc/group");
  EXPECT_FALSE(resolve_user("4294967295", kPasswd, kGroup));
  EXPECT_FALSE(resolve_user("99999999999", kPasswd, kGroup));
  EXPECT_TRUE(is_numeric_user(""));
  EXPECT_TRUE(is_numeric_user("12:grp"));
  EXPECT_FALSE(is_numeric_user("app"));
}

ContainerConfig small_config() {
  ContainerConfig config;
  config.id = "c1";
  config.args = {"sleep", "1"};
  config.env = {"PATH=/bin", "HOME=/root"};
  config.rootfs = "/run/moth/c1/rootfs";
  config.cgroups_path = "/moth-t/burstable/pod1/c1";
  config.network_namespace = "/run/moth/netns/pod1";
  config.hostname = "web-0";
  return config;
}

ContainerConfig full_config() {
  ContainerConfig config = small_config();
  config.uid = 1000;
  config.gid = 1001;
  config.additional_gids = {10, 2000};
  config.read_only_rootfs = true;
  config.no_new_privs = true;
  config.capabilities_drop = {"ALL"};
  config.capabilities_add = {"NET_BIND_SERVICE", "SYS_TIME"};
  config.seccomp.kind = Seccomp::Kind::kLocalhost;
  config.seccomp.profile_json = R"({"defaultAction":"SCMP_ACT_ALLOW"})";
  config.mounts = {{"/data/a", "/var/data/deep", "bind", {"rbind", "ro"}},
                   {"/data/shm", "/dev/shm", "bind", {"rbind", "rw"}},
                   {"/data/b", "/var/data", "bind", {"rbind", "rslave"}}};
  config.rootfs_propagation = "rslave";
  config.ipc_namespace = "/run/moth/ipc/pod1";
  config.uts_namespace = "/run/moth/uts/pod1";
  config.pid_namespace = "/proc/77/ns/pid";
  config.sysctls = {{"net.ipv4.tcp_syncookies", "0"}};
  Device fuse;
  fuse.path = "/dev/fuse";
  fuse.type = 'c';
  fuse.major = 10;
  fuse.minor = 229;
  fuse.mode = 0666;
  config.devices = {fuse};
  config.device_rules = {{true, 'c', 195, -1, "rw"}};
  config.oom_score_adj = -997;
  config.limits.cpu_shares = 512;
  config.limits.cpu_quota_micros = 50'000;
  config.limits.memory_bytes = 64 << 20;
  config.limits.pids = 100;
  config.limits.cpuset_cpus = "0";
  config.limits.huge_pages = {{"2MB", 4 << 20}};
  config.limits.oom_group = true;
  config.rlimits = {{"RLIMIT_NOFILE", 2048, 1024}};
  config.tty = true;
  config.prestart_hooks = {{"/usr/bin/hook", {"hook", "a"}, {}, 5}};
  config.annotations = {{"org.example", "x"}};
  return config;
}

ContainerConfig privileged_config() {
  ContainerConfig config = small_config();
  config.privileged = true;
  config.seccomp.kind = Seccomp::Kind::kRuntimeDefault;
  config.network_namespace = config.ipc_namespace = config.pid_namespace = config.uts_namespace =
      ContainerConfig::kHost;
  return config;
}

// MOTH_UPDATE_GOLDEN=1 writes the files anew.
void compare(const std::string& name, const Json& spec) {
  const std::string path = MOTH_SOURCE_DIR "/tests/unit/runtime/oci/testdata/" + name;
  const std::string text = spec.dump(2) + "\n";
  if (std::getenv("MOTH_UPDATE_GOLDEN")) ASSERT_TRUE(os::write_file(path, text));
  const auto expected = os::read_file(path);
  ASSERT_TRUE(expected) << expected.error().message;
  EXPECT_EQ(text, *expected);
}

TEST(SpecBuilder, GoldenFiles) {
  HostFacts host;
  host.capability_bounds = 0x1fffeffffff;  // without SYS_RESOURCE
  compare("small.json", build_spec(small_config(), host).value());
  compare("privileged.json", build_spec(privileged_config(), host).value());
  host.cgroup_v2_only = true;
  host.oom_score_adj_floor = -500;
  compare("full_v2.json", build_spec(full_config(), host).value());
}

TEST(SpecBuilder, NamesTheInvalidMember) {
  const auto error_of = [](auto change) {
    ContainerConfig config = small_config();
    change(config);
    const auto spec = build_spec(config, {});
    return spec ? std::string() : spec.error().message;
  };
  EXPECT_NE(error_of([](auto& c) { c.args.clear(); }).find("args:"), std::string::npos);
  EXPECT_NE(error_of([](auto& c) { c.cgroups_path = ""; }).find("cgroups_path:"),
            std::string::npos);
  EXPECT_NE(error_of([](auto& c) { c.rootfs = "x"; }).find("rootfs:"), std::string::npos);
  EXPECT_NE(error_of([](auto& c) {
              c.mounts = {{"/a", "rel"}};
            }).find("\"rel\""),
            std::string::npos);
  EXPECT_NE(error_of([](auto& c) { c.capabilities_add = {"FLY"}; }).find("\"FLY\""),
            std::string::npos);
  EXPECT_NE(error_of([](auto& c) { c.limits.memory_bytes = 1 << 20; }).find("8Mi"),
            std::string::npos);
  EXPECT_NE(error_of([](auto& c) { c.devices.resize(1); }).find("devices:"), std::string::npos);
}

std::vector<std::string> capabilities(std::vector<std::string> add, std::vector<std::string> drop,
                                      bool privileged = false) {
  ContainerConfig config;
  config.capabilities_add = std::move(add);
  config.capabilities_drop = std::move(drop);
  config.privileged = privileged;
  return effective_capabilities(config, {}).value();
}

TEST(SpecBuilder, Capabilities) {
  EXPECT_EQ(capabilities({}, {}).size(), default_capabilities().size());
  EXPECT_TRUE(capabilities({}, {"ALL"}).empty());
  EXPECT_EQ(capabilities({"CAP_KILL"}, {"ALL"}), std::vector<std::string>{"CAP_KILL"});
  EXPECT_EQ(capabilities({"ALL"}, {}).size(), 41u);
  EXPECT_EQ(capabilities({"ALL"}, {"SYS_ADMIN"}).size(), 40u);
  EXPECT_EQ(capabilities({}, {"MKNOD"}).size(), default_capabilities().size() - 1);
  EXPECT_EQ(capabilities({}, {}, true).size(), 41u);
  HostFacts host;
  host.capability_bounds = 1;
  EXPECT_EQ(effective_capabilities(ContainerConfig(), host).value(),
            std::vector<std::string>{"CAP_CHOWN"});
}

bool allows(const Json& profile, const std::string& call) {
  for (const Json& rule : profile.at("syscalls")) {
    for (const Json& name : rule.at("names")) {
      if (name == call && rule.at("action") == "SCMP_ACT_ALLOW") return true;
    }
  }
  return false;
}

TEST(Seccomp, FollowsCapabilities) {
  const Json plain = default_seccomp(capability_mask(default_capabilities()), "amd64");
  EXPECT_EQ(plain.at("architectures"), Json::array({"SCMP_ARCH_X86_64"}));
  EXPECT_TRUE(allows(plain, "openat"));
  EXPECT_TRUE(allows(plain, "chroot"));
  for (const char* call : {"mount", "bpf", "unshare", "reboot", "kexec_load", "add_key", "clone3",
                           "io_uring_setup", "userfaultfd"}) {
    EXPECT_FALSE(allows(plain, call)) << call;
  }
  const Json admin = default_seccomp(capability_mask({"SYS_ADMIN"}), "arm64");
  EXPECT_TRUE(allows(admin, "mount"));
  EXPECT_TRUE(allows(admin, "clone3"));
  EXPECT_FALSE(allows(admin, "chroot"));
  EXPECT_EQ(admin.at("architectures"), Json::array({"SCMP_ARCH_AARCH64"}));
}

// Runs `body` in a child under the filter; gives its exit code.
template <class F>
int under_filter(const std::string& program, F body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sock_fprog filter{static_cast<unsigned short>(program.size() / sizeof(sock_filter)),
                      reinterpret_cast<sock_filter*>(const_cast<char*>(program.data()))};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) ::_exit(100);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Seccomp, CompiledFilterDecides) {
  const auto program = compile_seccomp(default_seccomp(0, "amd64"));
  ASSERT_TRUE(program) << program.error().message;
  const auto errno_of = [](long rc) { return rc < 0 ? errno : 0; };
  EXPECT_EQ(under_filter(*program, [&] { return errno_of(::syscall(SYS_getpid)); }), 0);
  EXPECT_EQ(under_filter(*program, [&] { return errno_of(::syscall(SYS_mount, 0, 0, 0, 0, 0)); }),
            EPERM);
  EXPECT_EQ(under_filter(*program, [&] { return errno_of(::syscall(SYS_clone3, 0, 0)); }), ENOSYS);
  EXPECT_EQ(under_filter(*program, [&] { return errno_of(::syscall(5000)); }), ENOSYS);
  EXPECT_EQ(
      under_filter(*program, [&] { return errno_of(::syscall(SYS_personality, 0xffffffff)); }), 0);
  EXPECT_EQ(under_filter(*program, [&] { return errno_of(::syscall(SYS_personality, 0x40000)); }),
            EPERM);
  EXPECT_EQ(under_filter(*program, [&] { return errno_of(::syscall(SYS_socket, 1, 1, 0)); }), 0);
  EXPECT_EQ(under_filter(*program, [&] { return errno_of(::syscall(SYS_socket, 40, 1, 0)); }),
            EPERM);
  EXPECT_EQ(under_filter(*program,
                         [&] { return errno_of(::syscall(SYS_clone, 0x10000000, 0, 0, 0, 0)); }),
            EPERM);
}

TEST(Seccomp, RefusesBadProfiles) {
  const auto error_of = [](const char* text) {
    const auto compiled = compile_seccomp(Json::parse(text));
    return compiled ? std::string() : compiled.error().message;
  };
  EXPECT_NE(error_of(R"({"defaultAction":"SCMP_ACT_DANCE"})").find("SCMP_ACT_DANCE"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],
              "action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"NEAR"}]}]})")
                .find("NEAR"),
            std::string::npos);
  EXPECT_EQ(error_of(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["no_such_call"],
              "action":"SCMP_ACT_ERRNO"}]})"),
            "");
}

}  // namespace
}  // namespace moth::oci

#include <set>

#include "api/base/json.h"
#include "runtime/oci/capabilities.h"
#include "runtime/oci/seccomp.h"
#include "runtime/oci/seccomp_calls.h"

namespace moth::oci {

namespace {

constexpr int kEperm = 1;
constexpr int kEnosys = 38;
constexpr int kAfVsock = 40;
// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
constexpr std::uint64_t kCloneNamespaces = 0x7E020000;

struct Architecture {
  const char* name;
  bool is_32_bit;
};

Architecture seccomp_architecture(const std::string& go_name) {
  if (go_name == "arm64") return {"SCMP_ARCH_AARCH64", false};
  if (go_name == "386") return {"SCMP_ARCH_X86", true};
  if (go_name == "arm") return {"SCMP_ARCH_ARM", true};
  if (go_name == "riscv64") return {"SCMP_ARCH_RISCV64", false};
  if (go_name == "ppc64le") return {"SCMP_ARCH_PPC64LE", false};
  if (go_name == "s390x") return {"SCMP_ARCH_S390X", false};
  return {"SCMP_ARCH_X86_64", false};
}

Json rule(Json names, const char* action) {
  return Json{{"names", std::move(names)}, {"action", action}};
}

Json rule_if(const char* name, std::uint64_t argument, std::uint64_t value, const char* op,
             std::uint64_t value_two = 0) {
  Json condition = {{"index", argument}, {"value", value}, {"op", op}};
  if (value_two != 0) condition["valueTwo"] = value_two;
  Json result = rule(Json::array({name}), "SCMP_ACT_ALLOW");
  result["args"] = Json::array({std::move(condition)});
  return result;
}

bool has(std::uint64_t capabilities, std::string_view name) {
  const auto number = capability_number(name);
  return number && (capabilities >> *number & 1) != 0;
}

// New namespaces are for those who administrate; clone3 hides its flags behind a pointer, so that
// libc is told to use clone.
void add_clone(Json& rules, std::uint64_t capabilities) {
  if (has(capabilities, "SYS_ADMIN")) {
    rules.push_back(rule(Json::array({"clone", "clone3"}), "SCMP_ACT_ALLOW"));
    return;
  }
  rules.push_back(rule_if("clone", 0, kCloneNamespaces, "SCMP_CMP_MASKED_EQ"));
  Json clone3 = rule(Json::array({"clone3"}), "SCMP_ACT_ERRNO");
  clone3["errnoRet"] = kEnosys;
  rules.push_back(std::move(clone3));
}

}  // namespace

Json default_seccomp(std::uint64_t capabilities, const std::string& architecture) {
  const Architecture native = seccomp_architecture(architecture);
  std::set<std::string_view> names(kAllowedCalls.begin(), kAllowedCalls.end());
  if (native.is_32_bit) names.insert(kAllowed32BitCalls.begin(), kAllowed32BitCalls.end());
  for (const GatedCall& gated : kGatedCalls) {
    if (has(capabilities, gated.capability)) names.insert(gated.call);
  }
  Json rules = Json::array({rule(Json(names), "SCMP_ACT_ALLOW")});
  // Everything but the sockets of virtual machines, which know no network namespaces.
  rules.push_back(rule_if("socket", 0, kAfVsock, "SCMP_CMP_NE"));
  // Execution domains of Linux alone (and asking for the present one).
  for (const std::uint64_t domain : {0x0ULL, 0x8ULL, 0x20000ULL, 0x20008ULL, 0xffffffffULL}) {
    rules.push_back(rule_if("personality", 0, domain, "SCMP_CMP_EQ"));
  }
  add_clone(rules, capabilities);
  return Json{{"defaultAction", "SCMP_ACT_ERRNO"},
              {"defaultErrnoRet", kEperm},
              {"architectures", Json::array({native.name})},
              {"syscalls", std::move(rules)}};
}

}  // namespace moth::oci

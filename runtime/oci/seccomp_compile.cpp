// From a profile to the filter program that the kernel loads.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>

#include "api/base/json.h"
#include "runtime/oci/seccomp.h"
#include "runtime/os/fs.h"
#include "runtime/os/unique_fd.h"

namespace moth::oci {

namespace {

struct FilterRelease {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, FilterRelease>;

constexpr std::size_t kMaxArguments = 6;
// Of a kernel's filter program (BPF_MAXINSNS).
constexpr std::size_t kMaxInstructions = 4096;

Error invalid(std::string_view what) {
  return Error::of(Reason::kInvalid, fmt::format("seccomp profile: {}", what));
}

std::optional<std::uint32_t> action_of(const std::string& name, std::int64_t errno_ret) {
  const auto code = static_cast<std::uint32_t>(errno_ret) & 0xffff;
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(code);
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(code);
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  return std::nullopt;
}

std::optional<scmp_compare> operator_of(const std::string& name) {
  if (name == "SCMP_CMP_NE") return SCMP_CMP_NE;
  if (name == "SCMP_CMP_LT") return SCMP_CMP_LT;
  if (name == "SCMP_CMP_LE") return SCMP_CMP_LE;
  if (name == "SCMP_CMP_EQ") return SCMP_CMP_EQ;
  if (name == "SCMP_CMP_GE") return SCMP_CMP_GE;
  if (name == "SCMP_CMP_GT") return SCMP_CMP_GT;
  if (name == "SCMP_CMP_MASKED_EQ") return SCMP_CMP_MASKED_EQ;
  return std::nullopt;
}

std::uint64_t unsigned_or_zero(const Json& object, std::string_view key) {
  const Json* member = find_member(object, key);
  return member && member->is_number_integer() ? member->get<std::uint64_t>() : 0;
}

Result<std::vector<scmp_arg_cmp>> conditions_of(const Json& rule) {
  std::vector<scmp_arg_cmp> conditions;
  const Json* args = find_member(rule, "args");
  if (!args || !args->is_array()) return conditions;
  for (const Json& arg : *args) {
    const std::uint64_t index = unsigned_or_zero(arg, "index");
    const std::string name = string_or(arg, "op");
    const auto op = operator_of(name);
    if (!op) return fail(invalid(fmt::format("unknown operator \"{}\"", name)));
    if (index >= kMaxArguments) return fail(invalid(fmt::format("argument index {}", index)));
    scmp_arg_cmp condition{};
    condition.arg = static_cast<unsigned>(index);
    condition.op = *op;
    condition.datum_a = unsigned_or_zero(arg, "value");
    condition.datum_b = unsigned_or_zero(arg, "valueTwo");
    conditions.push_back(condition);
  }
  return conditions;
}

struct Compiler {
  Filter filter;
  std::uint32_t default_action = 0;
  int highest_call = 0;

  Result<void> add_rule(const Json& rule);
  Result<void> add_call(int call, std::uint32_t action,
                        const std::vector<scmp_arg_cmp>& conditions);
};

Result<void> Compiler::add_call(int call, std::uint32_t action,
                                const std::vector<scmp_arg_cmp>& conditions) {
  highest_call = std::max(highest_call, call);
  const int rc = ::seccomp_rule_add_array(
      filter.get(), action, call, static_cast<unsigned>(conditions.size()), conditions.data());
  if (rc != 0 && rc != -EEXIST) {
    return fail(invalid(fmt::format("rule for system call {}: {}", call,
                                    Error::from_errno(-rc, "refused").message)));
  }
  return {};
}

Result<void> Compiler::add_rule(const Json& rule) {
  const std::string name = string_or(rule, "action");
  const auto action = action_of(name, int_or(rule, "errnoRet", EPERM));
  if (!action) return fail(invalid(fmt::format("unknown action \"{}\"", name)));
  // What happens anyway needs no rule, and libseccomp refuses it.
  if (*action == default_action) return {};
  MOTH_ASSIGN(const std::vector<scmp_arg_cmp> conditions, conditions_of(rule));
  const Json* names = find_member(rule, "names");
  if (!names || !names->is_array()) return fail(invalid("a rule without names"));
  // Several conditions on one argument are alternatives in this format.
  const bool one_each = std::all_of(conditions.begin(), conditions.end(), [&](const auto& a) {
    return std::count_if(conditions.begin(), conditions.end(),
                         [&](const auto& b) { return a.arg == b.arg; }) == 1;
  });
  for (const Json& entry : *names) {
    if (!entry.is_string()) continue;
    const int call = ::seccomp_syscall_resolve_name(entry.get_ref<const std::string&>().c_str());
    // Unknown to this machine, or of another architecture.
    if (call == __NR_SCMP_ERROR || call < 0) continue;
    if (one_each) {
      MOTH_TRY(add_call(call, *action, conditions));
      continue;
    }
    for (const scmp_arg_cmp& condition : conditions) {
      MOTH_TRY(add_call(call, *action, {condition}));
    }
  }
  return {};
}

// Calls that are newer than the profile answer ENOSYS, as runc has it, so that libraries fall back
// to what they used before.
std::string with_unknown_calls(const std::string& program, int highest_call,
                               std::uint32_t audit_arch) {
  const sock_filter prefix[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit_arch, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, static_cast<std::uint32_t>(highest_call), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)};
  return std::string(reinterpret_cast<const char*>(prefix), sizeof prefix) + program;
}

}  // namespace

Result<std::string> compile_seccomp(const Json& profile) {
  const std::string name = string_or(profile, "defaultAction");
  const auto default_action = action_of(name, int_or(profile, "defaultErrnoRet", EPERM));
  if (!default_action) return fail(invalid(fmt::format("unknown action \"{}\"", name)));
  Compiler compiler;
  compiler.default_action = *default_action;
  compiler.filter.reset(::seccomp_init(*default_action));
  if (!compiler.filter) return fail(invalid("cannot be started"));
  // A binary tree over the numbers instead of a list: each call is decided in nine steps.
  ::seccomp_attr_set(compiler.filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  const Json* rules = find_member(profile, "syscalls");
  for (const Json& rule : rules && rules->is_array() ? *rules : Json::array()) {
    MOTH_TRY(compiler.add_rule(rule));
  }
  os::UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return fail(Error::from_errno(errno, "seccomp profile: memfd"));
  if (const int rc = ::seccomp_export_bpf(compiler.filter.get(), file.get()); rc != 0) {
    return fail(Error::from_errno(-rc, "seccomp profile: compile"));
  }
  ::lseek(file.get(), 0, SEEK_SET);
  MOTH_ASSIGN(std::string program, os::read_fd(file.get(), 1024 * 1024, "seccomp profile"));
  const bool permissive = *default_action == SCMP_ACT_ALLOW || *default_action == SCMP_ACT_LOG;
  if (!permissive) {
    // libseccomp's token of an architecture is the kernel's audit number.
    program = with_unknown_calls(program, compiler.highest_call, ::seccomp_arch_native());
  }
  if (program.size() > kMaxInstructions * sizeof(sock_filter)) {
    return fail(invalid("too long for the kernel"));
  }
  return program;
}

}  // namespace moth::oci

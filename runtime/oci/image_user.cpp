#include "runtime/oci/image_user.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "runtime/os/fs.h"

namespace moth::oci {

namespace {

// Bigger ones exist in no image, except to exhaust whoever reads them.
constexpr std::size_t kMaxDatabase = 8 * 1024 * 1024;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::uint32_t> id_of(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  // 2^32 - 1 means "none" to the kernel.
  if (problem != std::errc() || end != text.data() + text.size() || value == UINT32_MAX) {
    return std::nullopt;
  }
  return value;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

struct PasswdEntry {
  std::string name, home;
  std::uint32_t uid = 0, gid = 0;
};

// The first entry that `matches`. Broken lines are passed over, as libc does.
template <class F>
std::optional<PasswdEntry> find_user(std::string_view passwd, F matches) {
  for (std::string_view line : split(passwd, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 6 || line.front() == '#') continue;
    const auto uid = id_of(fields[2]), gid = id_of(fields[3]);
    if (!uid || !gid) continue;
    PasswdEntry entry{std::string(fields[0]), std::string(fields[5]), *uid, *gid};
    if (matches(entry)) return entry;
  }
  return std::nullopt;
}

struct Group {
  std::string_view name;
  std::uint32_t gid = 0;
  std::vector<std::string_view> members;
};

std::vector<Group> groups_of(std::string_view text) {
  std::vector<Group> groups;
  for (std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 3 || line.front() == '#') continue;
    const auto gid = id_of(fields[2]);
    if (!gid) continue;
    Group group{fields[0], *gid, {}};
    if (fields.size() > 3) group.members = split(fields[3], ',');
    groups.push_back(std::move(group));
  }
  return groups;
}

Error bad_id(std::string_view user) {
  return Error::of(Reason::kInvalid,
                   fmt::format("user \"{}\": an id must be below 4294967295", user));
}

Result<std::uint32_t> resolve_group(std::string_view wanted, const std::vector<Group>& groups) {
  for (const Group& group : groups) {
    if (group.name == wanted) return group.gid;
  }
  if (is_number(wanted)) {
    if (const auto gid = id_of(wanted)) return *gid;
    return fail(bad_id(wanted));
  }
  return fail(Error::of(Reason::kInvalid,
                        fmt::format("no group \"{}\" in the image's /etc/group", wanted)));
}

Result<std::string> database(const os::DirFd& root, const std::string& path) {
  auto text = root.read_in_root(path, kMaxDatabase);
  if (text || text.error().os_errno == ENOENT || text.error().os_errno == ENOTDIR) {
    return text.value_or(std::string());
  }
  return fail(std::move(text.error().with_context("image")));
}

}  // namespace

Result<ResolvedUser> resolve_user(std::string_view user, std::string_view passwd,
                                  std::string_view group) {
  const std::size_t colon = std::min(user.find(':'), user.size());
  std::string_view name = user.substr(0, colon);
  const std::string_view group_name = colon < user.size() ? user.substr(colon + 1) : "";
  if (name.empty()) name = "0";
  ResolvedUser resolved;
  auto entry = find_user(passwd, [&](const PasswdEntry& e) { return e.name == name; });
  if (!entry && is_number(name)) {
    const auto uid = id_of(name);
    if (!uid) return fail(bad_id(name));
    resolved.uid = *uid;
    entry = find_user(passwd, [&](const PasswdEntry& e) { return e.uid == *uid; });
  } else if (!entry) {
    return fail(Error::of(Reason::kInvalid,
                          fmt::format("no user \"{}\" in the image's /etc/passwd", name)));
  }
  if (entry) {
    resolved.uid = entry->uid;
    resolved.gid = entry->gid;
    resolved.name = entry->name;
    if (!entry->home.empty()) resolved.home = entry->home;
  }
  const std::vector<Group> groups = groups_of(group);
  if (!group_name.empty()) {
    MOTH_ASSIGN(resolved.gid, resolve_group(group_name, groups));
    // A named group replaces what the databases say, as everywhere.
    return resolved;
  }
  for (const Group& candidate : groups) {
    const auto& members = candidate.members;
    if (!resolved.name.empty() && candidate.gid != resolved.gid &&
        std::find(members.begin(), members.end(), resolved.name) != members.end()) {
      resolved.additional_gids.push_back(candidate.gid);
    }
  }
  std::sort(resolved.additional_gids.begin(), resolved.additional_gids.end());
  return resolved;
}

Result<ResolvedUser> resolve_user_in(const std::string& rootfs, std::string_view user) {
  MOTH_ASSIGN(const os::DirFd root, os::DirFd::open(rootfs));
  MOTH_ASSIGN(const std::string passwd, database(root, "/etc/passwd"));
  MOTH_ASSIGN(const std::string group, database(root, "/etc/group"));
  return resolve_user(user, passwd, group);
}

bool is_numeric_user(std::string_view user) {
  const std::string_view name = user.substr(0, std::min(user.find(':'), user.size()));
  return name.empty() || is_number(name);
}

}  // namespace moth::oci

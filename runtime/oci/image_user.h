#pragma once
// Who a container runs as, by the image's own /etc/passwd and /etc/group.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::oci {

struct ResolvedUser {
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> additional_gids;  // groups that list the user, sorted
  std::string home = "/";
  std::string name;  // empty when passwd does not know the uid
};

// `user` as in an image: "", "name", "uid", "name:group", "uid:gid". A name that is not in passwd
// is an error that names it; a number need not be there. Missing files count as empty.
Result<ResolvedUser> resolve_user(std::string_view user, std::string_view passwd,
                                  std::string_view group);
// The same with the files of a root file system (nothing outside it is ever read).
Result<ResolvedUser> resolve_user_in(const std::string& rootfs, std::string_view user);
// True when `user` (of an image) is a number or empty, so that runAsNonRoot can be decided.
bool is_numeric_user(std::string_view user);

}  // namespace moth::oci

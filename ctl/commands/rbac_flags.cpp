#include "ctl/commands/rbac_flags.h"

#include <algorithm>

namespace moth::ctl {

std::vector<FlagSpec> subject_flags() {
  return {{"group", 0, FlagKind::kTexts, "", "A group; may be given several times."},
          {"serviceaccount", 0, FlagKind::kTexts, "",
           "A service account, NAMESPACE:NAME; may be given several times."},
          {"user", 0, FlagKind::kTexts, "", "A user; may be given several times."}};
}

Outcome<Json> subjects_of(const Arguments& arguments) {
  constexpr const char* kGroup = "rbac.authorization.k8s.io";
  Json subjects = Json::array();
  for (const std::string& name : arguments.texts("user"))
    subjects.push_back({{"apiGroup", kGroup}, {"kind", "User"}, {"name", name}});
  for (const std::string& name : arguments.texts("group"))
    subjects.push_back({{"apiGroup", kGroup}, {"kind", "Group"}, {"name", name}});
  for (const std::string& text : arguments.texts("serviceaccount")) {
    auto colon = text.find(':');
    bool whole = colon != std::string::npos && colon > 0 && colon + 1 < text.size() &&
                 text.find(':', colon + 1) == std::string::npos;
    if (!whole) return refuse("serviceaccount must be <namespace>:<name>");
    subjects.push_back({{"kind", "ServiceAccount"},
                        {"name", text.substr(colon + 1)},
                        {"namespace", text.substr(0, colon)}});
  }
  return subjects;
}

std::optional<Json> parse_pairs(std::string_view text) {
  Json pairs = Json::object();
  for (std::size_t from = 0; from < text.size();) {
    auto end = std::min(text.find(',', from), text.size());
    std::string_view part = text.substr(from, end - from);
    auto equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    pairs[std::string(part.substr(0, equals))] = std::string(part.substr(equals + 1));
    from = end + 1;
  }
  return pairs;
}

}  // namespace moth::ctl

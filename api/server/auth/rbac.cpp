#include "api/server/auth/rbac.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "api/base/json.h"

namespace moth::server::rbac {
namespace {

using Texts = std::vector<std::string>;

bool has(const Texts& texts, std::string_view wanted) {
  return std::find(texts.begin(), texts.end(), wanted) != texts.end();
}

bool has_or_star(const Texts& texts, std::string_view wanted) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& text) { return text == "*" || text == wanted; });
}

bool resource_matches(const Texts& resources, const Attributes& wanted) {
  for (const std::string& text : resources) {
    if (text == "*") return true;
    if (wanted.subresource.empty()) {
      if (text == wanted.resource) return true;
      continue;
    }
    // "pods/log", or "*/log" for those of every resource.
    auto slash = text.find('/');
    if (slash == std::string::npos) continue;
    std::string_view head = std::string_view(text).substr(0, slash);
    std::string_view tail = std::string_view(text).substr(slash + 1);
    if (tail == wanted.subresource && (head == "*" || head == wanted.resource)) return true;
  }
  return false;
}

bool path_matches(std::string_view pattern, std::string_view path) {
  if (pattern == path) return true;
  if (!pattern.ends_with('*')) return false;
  while (pattern.ends_with('*')) pattern.remove_suffix(1);
  return path.starts_with(pattern);
}

bool covers_resource(const Texts& held, const std::string& wanted) {
  if (has_or_star(held, wanted)) return true;
  auto slash = wanted.find('/');
  return slash != std::string::npos && has(held, "*/" + wanted.substr(slash + 1));
}

// `wanted` has one verb and one resource, name or path at most.
bool covers(const PolicyRule& held, const PolicyRule& wanted) {
  auto all = [](const Texts& texts, auto covered) {
    return std::all_of(texts.begin(), texts.end(), covered);
  };
  if (!all(wanted.verbs, [&](const auto& verb) { return has_or_star(held.verbs, verb); }))
    return false;
  if (!all(wanted.api_groups, [&](const auto& text) { return has_or_star(held.api_groups, text); }))
    return false;
  if (!all(wanted.resources,
           [&](const auto& text) { return covers_resource(held.resources, text); }))
    return false;
  if (!all(wanted.non_resource_urls, [&](const std::string& path) {
        return std::any_of(held.non_resource_urls.begin(), held.non_resource_urls.end(),
                           [&](const std::string& pattern) { return path_matches(pattern, path); });
      }))
    return false;
  if (held.resource_names.empty()) return true;
  return !wanted.resource_names.empty() && all(wanted.resource_names, [&](const std::string& name) {
    return has(held.resource_names, name);
  });
}

// Into rules of one verb and one resource, name or path each.
std::vector<PolicyRule> break_down(const PolicyRule& rule) {
  std::vector<PolicyRule> parts;
  for (const std::string& group : rule.api_groups) {
    for (const std::string& resource : rule.resources) {
      for (const std::string& verb : rule.verbs) {
        if (rule.resource_names.empty()) parts.push_back({{verb}, {group}, {resource}, {}, {}});
        for (const std::string& name : rule.resource_names)
          parts.push_back({{verb}, {group}, {resource}, {name}, {}});
      }
    }
  }
  for (const std::string& path : rule.non_resource_urls) {
    for (const std::string& verb : rule.verbs) parts.push_back({{verb}, {}, {}, {}, {path}});
  }
  return parts;
}

// Joins parts of one resource (and name) that differ in their verbs alone.
std::vector<PolicyRule> join(std::vector<PolicyRule> parts) {
  std::vector<PolicyRule> joined;
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> known;
  for (PolicyRule& part : parts) {
    if (part.resources.empty()) {
      joined.push_back(std::move(part));
      continue;
    }
    auto key = std::tuple(part.api_groups.front(), part.resources.front(),
                          part.resource_names.empty() ? "" : part.resource_names.front());
    auto [at, fresh] = known.emplace(key, joined.size());
    if (fresh) {
      joined.push_back(std::move(part));
    } else if (!has(joined[at->second].verbs, part.verbs.front())) {
      joined[at->second].verbs.push_back(part.verbs.front());
    }
  }
  return joined;
}

std::string quoted(const Texts& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ' ';
    out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return out + "]";
}

}  // namespace

bool allows(const PolicyRule& rule, const Attributes& wanted) {
  if (!has_or_star(rule.verbs, wanted.verb)) return false;
  if (!wanted.is_resource) {
    return std::any_of(rule.non_resource_urls.begin(), rule.non_resource_urls.end(),
                       [&](const std::string& url) { return path_matches(url, wanted.path); });
  }
  return has_or_star(rule.api_groups, wanted.group) && resource_matches(rule.resources, wanted) &&
         (rule.resource_names.empty() || has(rule.resource_names, wanted.name));
}

std::vector<PolicyRule> not_covered(const std::vector<PolicyRule>& held,
                                    const std::vector<PolicyRule>& wanted) {
  std::vector<PolicyRule> missing;
  for (const PolicyRule& rule : wanted) {
    for (PolicyRule& part : break_down(rule)) {
      bool covered = std::any_of(held.begin(), held.end(),
                                 [&](const PolicyRule& owned) { return covers(owned, part); });
      if (!covered) missing.push_back(std::move(part));
    }
  }
  return join(std::move(missing));
}

std::string text_of(const PolicyRule& rule) {
  Texts parts;
  auto add = [&](const char* name, const Texts& texts) {
    if (!texts.empty()) parts.push_back(fmt::format("{}:{}", name, quoted(texts)));
  };
  add("APIGroups", rule.api_groups);
  add("Resources", rule.resources);
  add("NonResourceURLs", rule.non_resource_urls);
  add("ResourceNames", rule.resource_names);
  add("Verbs", rule.verbs);
  return fmt::format("{{{}}}", fmt::join(parts, ", "));
}

Json to_json(const PolicyRule& rule) {
  Json json = {{"verbs", rule.verbs}};
  auto add = [&](const char* name, const Texts& texts) {
    if (!texts.empty()) json[name] = texts;
  };
  add("apiGroups", rule.api_groups);
  add("resources", rule.resources);
  add("resourceNames", rule.resource_names);
  add("nonResourceURLs", rule.non_resource_urls);
  return json;
}

std::string service_account_user(std::string_view ns, std::string_view name) {
  return fmt::format("system:serviceaccount:{}:{}", ns, name);
}

std::pair<std::string, std::string> split_service_account(std::string_view user) {
  constexpr std::string_view kPrefix = "system:serviceaccount:";
  if (!user.starts_with(kPrefix)) return {};
  user.remove_prefix(kPrefix.size());
  auto colon = user.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == user.size()) return {};
  if (user.find(':', colon + 1) != std::string_view::npos) return {};
  return {std::string(user.substr(0, colon)), std::string(user.substr(colon + 1))};
}

}  // namespace moth::server::rbac

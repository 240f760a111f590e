#include "ctl/describe/rbac_rules.h"

#include <algorithm>
#include <tuple>

#include "ctl/describe/writer.h"

namespace moth::ctl {

std::string SingleRule::shown() const {
  if (resource.empty() || group.empty()) return resource;
  auto slash = resource.find('/');
  std::string text = resource.substr(0, slash) + "." + group;
  return slash == std::string::npos ? text : text + resource.substr(slash);
}

std::vector<SingleRule> single_rules(const Json& rules) {
  std::vector<SingleRule> out;
  auto add = [&](SingleRule rule, const Json& verbs) {
    auto same = std::find_if(out.begin(), out.end(), [&](const SingleRule& known) {
      return known.group == rule.group && known.resource == rule.resource &&
             known.names == rule.names && known.urls == rule.urls && rule.urls == "[]";
    });
    if (same == out.end()) same = out.insert(out.end(), std::move(rule));
    for (const Json& verb : verbs)
      if (std::find(same->verbs.begin(), same->verbs.end(), verb) == same->verbs.end())
        same->verbs.push_back(verb);
  };
  for (const Json& rule : rules) {
    const Json verbs = rule.value("verbs", Json::array());
    const Json groups = rule.value("apiGroups", Json::array());
    const Json resources = rule.value("resources", Json::array());
    for (const Json& group : groups)
      for (const Json& resource : resources)
        add({scalar_text(group), scalar_text(resource),
             bracketed_text(find_member(rule, "resourceNames")), "[]"},
            verbs);
    const Json urls = rule.value("nonResourceURLs", Json::array());
    for (const Json& url : urls) add({"", "", "[]", "[" + scalar_text(url) + "]"}, verbs);
  }
  // The order that kubectl's comparison of whole rules gives: by verbs first.
  std::stable_sort(out.begin(), out.end(), [](const SingleRule& a, const SingleRule& b) {
    auto key = [](const SingleRule& rule) {
      return std::tuple(bracketed_text(&rule.verbs), rule.group + "]", rule.resource + "]",
                        rule.names, rule.urls);
    };
    return key(a) < key(b);
  });
  return out;
}

}  // namespace moth::ctl

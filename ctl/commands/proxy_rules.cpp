#include "ctl/commands/proxy_rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace moth::ctl {
namespace {

bool any_matches(const std::vector<std::shared_ptr<regex_t>>& patterns, const std::string& text) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& pattern) {
    return ::regexec(pattern.get(), text.c_str(), 0, nullptr, 0) == 0;
  });
}

}  // namespace

Outcome<ProxyRules::Patterns> ProxyRules::compile(const std::string& list) {
  Patterns patterns;
  for (std::size_t from = 0; from < list.size();) {
    auto end = std::min(list.find(',', from), list.size());
    std::string text = list.substr(from, end - from);
    from = end + 1;
    if (text.empty()) continue;
    auto compiled = std::make_unique<regex_t>();
    if (int problem = ::regcomp(compiled.get(), text.c_str(), REG_EXTENDED | REG_NOSUB)) {
      char words[128] = {};
      ::regerror(problem, compiled.get(), words, sizeof words);
      return refuse(fmt::format("the regular expression \"{}\" does not parse: {}", text, words));
    }
    std::shared_ptr<regex_t> pattern(compiled.release(), [](regex_t* expression) {
      ::regfree(expression);
      delete expression;
    });
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

Outcome<ProxyRules> ProxyRules::make(const std::string& accept_paths,
                                     const std::string& reject_paths,
                                     const std::string& accept_hosts,
                                     const std::string& reject_methods) {
  ProxyRules rules;
  MOTH_ASSIGN(rules.accept_paths_, compile(accept_paths));
  MOTH_ASSIGN(rules.reject_paths_, compile(reject_paths));
  MOTH_ASSIGN(rules.accept_hosts_, compile(accept_hosts));
  MOTH_ASSIGN(rules.reject_methods_, compile(reject_methods));
  return rules;
}

bool ProxyRules::allowed(const std::string& method, const std::string& path,
                         const std::string& host) const {
  if (any_matches(reject_paths_, path) || any_matches(reject_methods_, method)) return false;
  // The name alone: "[::1]:8001" and "localhost:8001".
  std::string name = host;
  if (auto bracket = name.find(']'); bracket != std::string::npos)
    name.resize(bracket + 1);
  else if (auto colon = name.rfind(':'); colon != std::string::npos)
    name.resize(colon);
  return any_matches(accept_paths_, path) && any_matches(accept_hosts_, name);
}

}  // namespace moth::ctl

#pragma once
// Which requests `proxy` passes on, and where to. Pure.
#include <regex.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/cli/failure.h"

namespace moth::ctl {

class ProxyRules {
 public:
  // The flags' values: comma-separated POSIX extended regular expressions. BadRequest names the one
  // that is none.
  static Outcome<ProxyRules> make(const std::string& accept_paths, const std::string& reject_paths,
                                  const std::string& accept_hosts,
                                  const std::string& reject_methods);
  bool allowed(const std::string& method, const std::string& path, const std::string& host) const;

 private:
  using Patterns = std::vector<std::shared_ptr<regex_t>>;
  static Outcome<Patterns> compile(const std::string& list);
  Patterns accept_paths_, reject_paths_, accept_hosts_, reject_methods_;
};

}  // namespace moth::ctl

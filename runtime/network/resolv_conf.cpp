#include "runtime/network/resolv_conf.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace moth::network {

namespace {

std::vector<std::string> words(std::string_view line) {
  std::istringstream stream{std::string(line)};
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

void append_unique(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const std::string& item : more)
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

std::string_view option_name(std::string_view option) {
  return option.substr(0, option.find(':'));
}

// An option given later replaces an earlier one of the same name, at the earlier one's place.
void merge_options(std::vector<std::string>& options, const std::vector<std::string>& more) {
  for (const std::string& option : more) {
    auto same = std::find_if(options.begin(), options.end(), [&](const std::string& known) {
      return option_name(known) == option_name(option);
    });
    if (same == options.end()) {
      options.push_back(option);
    } else {
      *same = option;
    }
  }
}

std::string read_text(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

void limit(PodResolvConf& result) {
  ResolvConf& conf = result.conf;
  if (conf.nameservers.size() > kMaxNameservers) {
    conf.nameservers.resize(kMaxNameservers);
    result.warnings.push_back(fmt::format(
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied "
        "nameserver line is: {}",
        fmt::join(conf.nameservers, " ")));
  }
  bool dropped = conf.searches.size() > kMaxSearches;
  if (dropped) conf.searches.resize(kMaxSearches);
  auto characters = [&] { return fmt::format("{}", fmt::join(conf.searches, " ")).size(); };
  while (!conf.searches.empty() && characters() > kMaxSearchCharacters) {
    conf.searches.pop_back();
    dropped = true;
  }
  if (dropped)
    result.warnings.push_back(fmt::format(
        "Search Line limits were exceeded, some search paths have been omitted, the applied "
        "search line is: {}",
        fmt::join(conf.searches, " ")));
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  while (!text.empty()) {
    std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text = newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);
    line = line.substr(0, line.find_first_of("#;"));
    std::vector<std::string> parts = words(line);
    if (parts.size() < 2) {
      // A bare "search" empties the list.
      if (parts.size() == 1 && parts[0] == "search") conf.searches.clear();
      continue;
    }
    if (parts[0] == "nameserver") {
      conf.nameservers.push_back(parts[1]);
    } else if (parts[0] == "search") {
      conf.searches.assign(parts.begin() + 1, parts.end());
    } else if (parts[0] == "domain") {
      conf.searches = {parts[1]};
    } else if (parts[0] == "options") {
      // Lines of options add up.
      merge_options(conf.options, {parts.begin() + 1, parts.end()});
    }
  }
  for (std::string& search : conf.searches)
    if (search.size() > 1 && search.back() == '.') search.pop_back();
  return conf;
}

std::string render_resolv_conf(const ResolvConf& conf) {
  std::string text;
  if (!conf.searches.empty()) text += fmt::format("search {}\n", fmt::join(conf.searches, " "));
  for (const std::string& server : conf.nameservers) text += "nameserver " + server + "\n";
  if (!conf.options.empty()) text += fmt::format("options {}\n", fmt::join(conf.options, " "));
  return text;
}

ResolvConf read_host_resolv_conf() {
  ResolvConf conf = parse_resolv_conf(read_text("/etc/resolv.conf"));
  bool only_stub = !conf.nameservers.empty() &&
                   std::all_of(conf.nameservers.begin(), conf.nameservers.end(),
                               [](const std::string& server) { return server == "127.0.0.53"; });
  if (only_stub) {
    ResolvConf real = parse_resolv_conf(read_text("/run/systemd/resolve/resolv.conf"));
    if (!real.nameservers.empty()) return real;
  }
  return conf;
}

std::optional<DnsPolicy> parse_dns_policy(std::string_view text) {
  if (text.empty() || text == "ClusterFirst") return DnsPolicy::kClusterFirst;
  if (text == "ClusterFirstWithHostNet") return DnsPolicy::kClusterFirstWithHostNet;
  if (text == "Default") return DnsPolicy::kDefault;
  if (text == "None") return DnsPolicy::kNone;
  return std::nullopt;
}

PodResolvConf build_resolv_conf(const PodDns& pod, const ResolvConf& host) {
  PodResolvConf result;
  ResolvConf& conf = result.conf;
  DnsPolicy policy = pod.policy;
  if (policy == DnsPolicy::kClusterFirst && pod.host_network) policy = DnsPolicy::kDefault;
  bool cluster =
      policy == DnsPolicy::kClusterFirst || policy == DnsPolicy::kClusterFirstWithHostNet;
  if (cluster && pod.dns_address.empty()) {
    cluster = false;
    policy = DnsPolicy::kDefault;
    result.warnings.push_back(
        "The cluster has no DNS address, so the pod was given the DNS settings of the machine.");
  }
  if (cluster) {
    conf.nameservers = {pod.dns_address};
    const std::string& domain = pod.cluster_domain;
    conf.searches = {pod.pod_namespace + ".svc." + domain, "svc." + domain, domain};
    append_unique(conf.searches, host.searches);
    conf.options = {"ndots:5"};
  } else if (policy == DnsPolicy::kDefault) {
    conf = host;
  }
  append_unique(conf.nameservers, pod.nameservers);
  append_unique(conf.searches, pod.searches);
  merge_options(conf.options, pod.options);
  limit(result);
  return result;
}

}  // namespace moth::network

#include "api/server/admission/pod_security_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/base/json.h"
#include "api/server/admission/pod_security_checks.h"

namespace moth::server::pod_security {
namespace {

constexpr std::string_view kPrefix = "pod-security.kubernetes.io/";

std::optional<Level> parse_level(std::string_view text) {
  if (text == "privileged") return Level::kPrivileged;
  if (text == "baseline") return Level::kBaseline;
  if (text == "restricted") return Level::kRestricted;
  return std::nullopt;
}

struct ParsedVersion {
  bool good = false;
  std::optional<int> minor;
};

ParsedVersion parse_version(std::string_view text) {
  if (text == "latest") return {true, std::nullopt};
  if (!text.starts_with("v1.")) return {};
  std::string_view digits = text.substr(3);
  int minor = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), minor);
  bool good = error == std::errc{} && end == digits.data() + digits.size() && !digits.empty() &&
              (digits.size() == 1 || digits.front() != '0') && digits.front() != '-';
  return good ? ParsedVersion{true, minor} : ParsedVersion{};
}

const char* name_of(Level level) {
  return level == Level::kPrivileged ? "privileged"
         : level == Level::kBaseline ? "baseline"
                                     : "restricted";
}

class Reader {
 public:
  Reader(const Labels& labels, FieldErrors* errors) : labels_(labels), errors_(errors) {}

  // Whether a good level was given.
  bool level(std::string_view mode, Level& out, Level instead) {
    std::string key = fmt::format("{}{}", kPrefix, mode);
    auto given = labels_.find(key);
    if (given == labels_.end()) return false;
    auto parsed = parse_level(given->second);
    if (!parsed) bad(key, given->second, "must be one of privileged, baseline, restricted");
    out = parsed.value_or(instead);
    return parsed.has_value();
  }
  bool version(std::string_view mode, std::optional<int>& out) {
    std::string key = fmt::format("{}{}-version", kPrefix, mode);
    auto given = labels_.find(key);
    if (given == labels_.end()) return false;
    ParsedVersion parsed = parse_version(given->second);
    if (!parsed.good) bad(key, given->second, "must be \"latest\" or \"v1.x\"");
    out = parsed.minor;
    return true;
  }
  bool has(std::string_view mode) const {
    return labels_.contains(fmt::format("{}{}", kPrefix, mode));
  }

 private:
  void bad(const std::string& key, const std::string& value, const char* why) {
    if (errors_) {
      errors_->push_back(
          FieldError::invalid(FieldPath("metadata").child("labels").key(key), value, why));
    }
  }
  const Labels& labels_;
  FieldErrors* errors_;
};

}  // namespace

std::string LevelVersion::to_string() const {
  return fmt::format("{}:{}", name_of(level), minor ? fmt::format("v1.{}", *minor) : "latest");
}

Policy policy_of(const Labels& labels, FieldErrors* errors) {
  Policy policy;
  Reader reader(labels, errors);
  bool enforced = reader.level("enforce", policy.enforce.level, Level::kRestricted);
  reader.version("enforce", policy.enforce.minor);
  for (auto& [mode, part] : {std::pair<const char*, LevelVersion*>{"audit", &policy.audit},
                             std::pair<const char*, LevelVersion*>{"warn", &policy.warn}}) {
    bool given = reader.has(mode);
    reader.level(mode, part->level, Level::kPrivileged);
    bool versioned = reader.version(mode, part->minor);
    // Who enforces a level is warned about it, too.
    if (!given && enforced && policy.enforce.level > part->level) {
      part->level = policy.enforce.level;
      if (!versioned) part->minor = policy.enforce.minor;
    }
  }
  return policy;
}

std::vector<Violation> evaluate(const LevelVersion& policy, const Json& metadata,
                                const Json& spec) {
  std::vector<Violation> found;
  if (policy.level == Level::kPrivileged) return found;
  Subject subject{metadata, spec, policy.minor.value_or(kLatestMinor)};
  if (policy.level == Level::kBaseline) {
    check_baseline(subject, found);
  } else {
    check_restricted(subject, found);
  }
  return found;
}

std::string details(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& one : violations) {
    text += text.empty() ? "" : ", ";
    text += one.detail.empty() ? one.reason : fmt::format("{} ({})", one.reason, one.detail);
  }
  return text;
}

std::string reasons(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& one : violations) text += (text.empty() ? "" : ", ") + one.reason;
  return text;
}

}  // namespace moth::server::pod_security

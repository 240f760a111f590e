#include "api/resources/batch_v1/job_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/check_text.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kMaxIndexedParallelism = 100'000;
constexpr std::int64_t kMaxFailedIndexes = 100'000;
constexpr std::int64_t kManyCompletions = 100'000;
constexpr std::int64_t kLimitWithManyCompletions = 10'000;
constexpr std::size_t kMaxManagedBy = 63;

void check_at_most(FieldErrors& errors, const Json& spec, const char* key, const FieldPath& path,
                   std::int64_t limit, std::string detail) {
  const Json* value = member(spec, key);
  if (!value || !value->is_number_integer() || *value <= limit) return;
  errors.push_back(FieldError::invalid(path.child(key), *value, std::move(detail)));
}

void check_indexed(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* completions = member(spec, "completions");
  if (!completions) {
    errors.push_back(
        FieldError::required(path.child("completions"), "when completion mode is Indexed"));
  }
  check_at_most(errors, spec, "parallelism", path, kMaxIndexedParallelism,
                fmt::format("must be less than or equal to {} when completion mode is Indexed",
                            kMaxIndexedParallelism));
  std::int64_t count = int_or(spec, "completions");
  if (completions) {
    check_at_most(errors, spec, "maxFailedIndexes", path, count,
                  "must be less than or equal to completions");
  }
  check_at_most(errors, spec, "maxFailedIndexes", path, kMaxFailedIndexes,
                fmt::format("must be less than or equal to {}", kMaxFailedIndexes));
  if (count <= kManyCompletions || !has(spec, "backoffLimitPerIndex")) return;
  if (!has(spec, "maxFailedIndexes")) {
    errors.push_back(FieldError::required(
        path.child("maxFailedIndexes"),
        fmt::format("must be specified when completions is above {}", kManyCompletions)));
  }
  std::string text = fmt::format(
      "must be less than or equal to {} when completions are above {} and used with backoff limit "
      "per index",
      kLimitWithManyCompletions, kManyCompletions);
  check_at_most(errors, spec, "parallelism", path, kLimitWithManyCompletions, text);
  check_at_most(errors, spec, "maxFailedIndexes", path, kLimitWithManyCompletions, text);
}

void check_completion_mode(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  std::string mode = string_or(spec, "completionMode");
  if (has(spec, "completionMode") && mode != "NonIndexed" && mode != "Indexed") {
    errors.push_back(
        FieldError::not_supported(path.child("completionMode"), mode, {"NonIndexed", "Indexed"}));
  }
  if (mode == "Indexed") {
    check_indexed(errors, spec, path);
  } else if (mode.empty() || mode == "NonIndexed") {
    for (const char* key : {"backoffLimitPerIndex", "maxFailedIndexes"}) {
      if (const Json* value = member(spec, key)) {
        errors.push_back(
            FieldError::invalid(path.child(key), *value, "requires indexed completion mode"));
      }
    }
  }
}

void check_policies(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  bool failure_policy = has(spec, "podFailurePolicy");
  if (failure_policy) check_pod_failure_policy(errors, spec, path.child("podFailurePolicy"));
  if (const Json* success = member(spec, "successPolicy")) {
    FieldPath at = path.child("successPolicy");
    if (string_or(spec, "completionMode") == "Indexed") {
      check_success_policy(errors, spec, at);
    } else {
      errors.push_back(FieldError::invalid(at, *success, "requires indexed completion mode"));
    }
  }
  check_supported(errors, spec, "podReplacementPolicy", path,
                  failure_policy ? std::vector<std::string>{"Failed"}
                                 : std::vector<std::string>{"Failed", "TerminatingOrFailed"});
}

void check_restart_policy(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  std::string policy = string_or(object_of(object_of(spec, "template"), "spec"), "restartPolicy");
  FieldPath at = path.child("template", "spec", "restartPolicy");
  if (policy.empty() || policy == "Always") {
    errors.push_back(FieldError::required(at, "valid values: \"OnFailure\", \"Never\""));
  } else if (policy != "OnFailure" && policy != "Never") {
    errors.push_back(FieldError::not_supported(at, policy, {"OnFailure", "Never"}));
  } else if (has(spec, "podFailurePolicy") && policy != "Never") {
    errors.push_back(FieldError::invalid(
        at, policy, "only \"Never\" is supported when podFailurePolicy is specified"));
  }
}

Result<std::int64_t> parse_index(std::string_view text) {
  std::int64_t value = 0;
  const char* begin = text.data();
  if (text.starts_with('+')) ++begin;
  auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  return fail(
      Error::bad_request(fmt::format("cannot convert string to integer for index: \"{}\"", text)));
}

Result<std::pair<std::int64_t, std::int64_t>> parse_interval(std::string_view text,
                                                             std::int64_t completions) {
  if (std::count(text.begin(), text.end(), '-') > 1) {
    return fail(Error::bad_request(
        fmt::format("the fragment \"{}\" violates the requirement that an index interval can have "
                    "at most two parts separated by '-'",
                    text)));
  }
  auto dash = text.find('-');
  std::string_view low_text = text.substr(0, dash);
  MOTH_ASSIGN(std::int64_t low, parse_index(low_text));
  if (low >= completions) {
    return fail(Error::bad_request(fmt::format("too large index: \"{}\"", low_text)));
  }
  if (dash == std::string_view::npos) return std::pair(low, low);
  std::string_view high_text = text.substr(dash + 1);
  MOTH_ASSIGN(std::int64_t high, parse_index(high_text));
  if (high >= completions) {
    return fail(Error::bad_request(fmt::format("too large index: \"{}\"", high_text)));
  }
  if (low >= high) {
    return fail(Error::bad_request(
        fmt::format("non-increasing order, previous: {}, current: {}", low, high)));
  }
  return std::pair(low, high);
}

}  // namespace

void check_job_spec(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  for (const char* key : {"parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
                          "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes"}) {
    check_non_negative(errors, spec, key, path);
  }
  if (has(spec, "maxFailedIndexes") && !has(spec, "backoffLimitPerIndex")) {
    errors.push_back(FieldError::required(path.child("backoffLimitPerIndex"),
                                          "when maxFailedIndexes is specified"));
  }
  if (has(spec, "managedBy")) {
    std::string manager = string_or(spec, "managedBy");
    check_domain_prefixed_path(errors, manager, path.child("managedBy"));
    if (manager.size() > kMaxManagedBy) {
      errors.push_back(FieldError::too_long(path.child("managedBy"), kMaxManagedBy));
    }
  }
  check_completion_mode(errors, spec, path);
  check_policies(errors, spec, path);
  append(errors, validate_pod_template(object_of(spec, "template"), path.child("template")));
  check_restart_policy(errors, spec, path);
}

Result<IndexIntervals> parse_job_indexes(std::string_view text, std::int64_t completions) {
  IndexIntervals intervals;
  while (!text.empty()) {
    auto comma = text.find(',');
    MOTH_ASSIGN(auto interval, parse_interval(text.substr(0, comma), completions));
    if (!intervals.empty() && intervals.back().second >= interval.first) {
      return fail(Error::bad_request(fmt::format("non-increasing order, previous: {}, current: {}",
                                                 intervals.back().second, interval.first)));
    }
    intervals.push_back(interval);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return intervals;
}

std::int64_t count_indexes(const IndexIntervals& intervals) {
  std::int64_t total = 0;
  for (const auto& [low, high] : intervals) total += high - low + 1;
  return total;
}

std::vector<std::string> pod_name_warnings(const Json& object) {
  Messages wrong = check_dns1123_label(string_or(object_of(object, "metadata"), "name"));
  if (wrong.empty()) return {};
  return {fmt::format(
      "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
      "behavior; a DNS label is recommended: [{}]",
      join(wrong, " "))};
}

}  // namespace moth::resources

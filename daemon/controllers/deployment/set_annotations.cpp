#include "daemon/controllers/deployment/set_annotations.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

namespace moth::controllers {
namespace {

constexpr const char* kRevision = "deployment.kubernetes.io/revision";
constexpr const char* kHistory = "deployment.kubernetes.io/revision-history";
constexpr const char* kDesired = "deployment.kubernetes.io/desired-replicas";
constexpr const char* kMax = "deployment.kubernetes.io/max-replicas";
constexpr std::array<std::string_view, 6> kNotCopied = {
    "kubectl.kubernetes.io/last-applied-configuration",
    kRevision,
    kHistory,
    kDesired,
    kMax,
    "deprecated.deployment.rollback.to"};
constexpr std::size_t kMaxHistory = 2000;  // characters

template <class Number>
std::optional<Number> number_at(const Labels& annotations, const char* key) {
  auto it = annotations.find(key);
  if (it == annotations.end()) return std::nullopt;
  Number value{};
  const char* end = it->second.data() + it->second.size();
  auto [rest, error] = std::from_chars(it->second.data(), end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

bool put(Labels& annotations, const char* key, const std::string& value) {
  auto [slot, added] = annotations.try_emplace(key, value);
  if (added || slot->second == value) return added;
  slot->second = value;
  return true;
}

// Appends `old_revision`; the oldest entries give way when the list grows too long.
void remember(Labels& annotations, const std::string& old_revision) {
  std::string& history = annotations[kHistory];
  while (!history.empty() && history.size() + 1 + old_revision.size() > kMaxHistory) {
    std::size_t comma = history.find(',');
    history.erase(0, comma == std::string::npos ? history.size() : comma + 1);
  }
  if (!history.empty()) history += ',';
  history += old_revision;
}

}  // namespace

std::int64_t revision_of(const Labels& annotations) {
  return number_at<std::int64_t>(annotations, kRevision).value_or(0);
}

std::optional<std::int32_t> desired_replicas_of(const Labels& annotations) {
  return number_at<std::int32_t>(annotations, kDesired);
}

bool copy_annotations(const Labels& from, Labels& to) {
  bool changed = false;
  for (const auto& [key, value] : from) {
    if (std::find(kNotCopied.begin(), kNotCopied.end(), key) != kNotCopied.end()) continue;
    changed |= put(to, key.c_str(), value);
  }
  return changed;
}

bool raise_revision(Labels& annotations, std::int64_t revision) {
  auto known = annotations.find(kRevision);
  if (known == annotations.end()) {
    annotations[kRevision] = std::to_string(revision);
    return true;
  }
  if (revision_of(annotations) >= revision) return false;
  remember(annotations, known->second);
  annotations[kRevision] = std::to_string(revision);
  return true;
}

bool put_replicas(Labels& annotations, std::int32_t desired, std::int32_t max) {
  bool changed = put(annotations, kDesired, std::to_string(desired));
  changed |= put(annotations, kMax, std::to_string(max));
  return changed;
}

}  // namespace moth::controllers

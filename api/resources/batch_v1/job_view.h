#pragma once
// JobView: what the Job and CronJob controllers act upon but the template, which they take from the
// DOM. Built and kept by `object.view<JobView>()` on the control thread; valid as long as its
// object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/resources/conditions.h"

namespace moth::resources {

// One rule of podFailurePolicy: the first that matches a failed pod decides.
struct PodFailureRule {
  enum class Action : std::uint8_t { kFailJob, kFailIndex, kIgnore, kCount };
  struct Pattern {
    std::string type, status;  // of a pod condition
  };
  Action action = Action::kCount;
  // Either exit codes, of the container named or of any ...
  bool on_exit_codes = false;
  std::string container;
  bool not_in = false;  // operator NotIn; else In
  std::vector<std::int32_t> codes;
  // ... or conditions, of which one must hold.
  std::vector<Pattern> conditions;
};

// One rule of successPolicy: that many of these indexes succeeded.
struct SuccessRule {
  std::optional<std::string> indexes;  // "0,2-4"; absent: any
  std::optional<std::int32_t> count;   // absent: all of `indexes`
};

class JobView {
 public:
  explicit JobView(const Object& object);

  const Meta& meta() const { return *meta_; }

  std::int32_t parallelism = 1;
  std::optional<std::int32_t> completions;  // absent: a work queue
  std::optional<std::chrono::seconds> active_deadline;
  std::int32_t backoff_limit = 6;
  std::optional<std::int32_t> backoff_limit_per_index, max_failed_indexes;
  std::optional<std::chrono::seconds> ttl_after_finished;
  LabelSelector selector = LabelSelector::nothing();
  bool manual_selector = false;
  bool indexed = false;  // completionMode Indexed
  bool suspend = false;
  // podReplacementPolicy Failed: a pod is replaced only when it has ended.
  bool replace_only_failed = false;
  std::string managed_by;  // "": the Job controller
  std::vector<PodFailureRule> failure_rules;
  std::vector<SuccessRule> success_rules;
  bool has_success_policy = false;
  // Containers are restarted in place (OnFailure); else pods fail (Never).
  bool restart_on_failure = false;

  struct Status {
    std::int32_t active = 0, succeeded = 0, failed = 0;
    std::optional<std::int32_t> ready, terminating;
    std::optional<WallTime> start, completion;
    std::string completed_indexes;
    std::optional<std::string> failed_indexes;
    std::vector<std::string> uncounted_succeeded, uncounted_failed;  // uids of pods
    std::vector<Condition> conditions;
  } status;

  const Condition* condition(std::string_view type) const;
  bool condition_is(std::string_view type) const;  // True
  bool is_finished() const { return condition_is("Complete") || condition_is("Failed"); }

 private:
  const Meta* meta_;
};

}  // namespace moth::resources

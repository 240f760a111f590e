#pragma once
// Label and field selectors: the text grammar of query parameters, the JSON LabelSelector of specs,
// and matching. Immutable values after parsing, free of threads.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/field_error.h"
#include "api/machinery/labels.h"

namespace moth {

enum class SelectorOperator : std::uint8_t {
  kIn,
  kNotIn,
  kEquals,
  kNotEquals,
  kExists,
  kDoesNotExist,
  kGreaterThan,
  kLessThan,
};

struct LabelRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::kExists;
  std::vector<std::string> values;  // sorted, without duplicates

  bool matches(const Labels& labels) const;
  std::string to_string() const;
  bool operator==(const LabelRequirement&) const = default;
};

class LabelSelector {
 public:
  // Matches everything.
  LabelSelector() = default;
  static LabelSelector nothing();

  // `k=v,k==v,k!=v,k in (a,b),k notin (a),k,!k,k>1,k<2`; empty text matches everything. BadRequest
  // with upstream's text.
  static Result<LabelSelector> parse(std::string_view text);
  // A map of exact values (Service.spec.selector); `{}` matches everything.
  static LabelSelector from_map(const Labels& labels);
  static LabelSelector from_requirements(std::vector<LabelRequirement> requirements);
  // A JSON LabelSelector {matchLabels, matchExpressions}: null matches nothing, `{}` everything.
  // Invalid when it does not hold; validate first (validate_label_selector) for field paths.
  static Result<LabelSelector> from_json(const Json& json);

  bool matches(const Labels& labels) const;
  // The labels as a JSON object of strings (metadata.labels of a DOM); null is no labels.
  bool matches_json(const Json& labels) const;
  bool matches_everything() const { return !nothing_ && requirements_.empty(); }
  bool matches_nothing() const { return nothing_; }
  const std::vector<LabelRequirement>& requirements() const { return requirements_; }
  // The value that `key` must have for a match, when the selector says so.
  std::optional<std::string> required_value(std::string_view key) const;
  // Text that parse() reads back; requirements sorted by key.
  std::string to_string() const;
  bool operator==(const LabelSelector&) const = default;

 private:
  std::vector<LabelRequirement> requirements_;
  bool nothing_ = false;
};

// Field errors of a JSON LabelSelector at `path`; an absent one (null) is valid.
FieldErrors validate_label_selector(const Json& selector, const FieldPath& path);
// `a=b,c in (d)` for printer columns; `<none>` when it selects nothing in particular.
std::string format_label_selector(const Json& selector);

struct FieldRequirement {
  std::string field;
  bool negated = false;
  std::string value;

  std::string to_string() const;
  bool operator==(const FieldRequirement&) const = default;
};

class FieldSelector {
 public:
  // The value of a field, e.g. `status.phase`; absent fields read as empty text.
  using Lookup = std::function<std::string(std::string_view field)>;

  FieldSelector() = default;
  // `a=b,c==d,e!=f`; values may be empty; backslash escapes `\\`, `\,`, `\=`. BadRequest otherwise.
  static Result<FieldSelector> parse(std::string_view text);
  static FieldSelector from_requirements(std::vector<FieldRequirement> requirements);

  bool matches(const Lookup& lookup) const;
  bool matches_everything() const { return requirements_.empty(); }
  const std::vector<FieldRequirement>& requirements() const { return requirements_; }
  // The value that `field` must have for a match (`metadata.name=x`), when the selector says so.
  std::optional<std::string> required_value(std::string_view field) const;
  std::string to_string() const;
  bool operator==(const FieldSelector&) const = default;

 private:
  std::vector<FieldRequirement> requirements_;
};

}  // namespace moth

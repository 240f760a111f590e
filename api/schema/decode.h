#pragma once
// Strict structural decoding: brings a JSON object into the shape its Type declares.
//
// What it does, in one pass over the object: checks the JSON type of every known field (integers
// also for their range, bytes for base64, quantities and times for their syntax), brings scalars
// into their canonical text (1024Mi becomes 1Gi, a time becomes UTC), drops fields that are null
// (a null list item or map value becomes its type's empty value, as in Go), and collects the fields
// that the type does not have. Whether those are an error, a warning or
// nothing is the caller's decision (fieldValidation); so is every default.
// Pure; any thread. Bounded by DecodeOptions.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/schema/types.h"

namespace moth::schema {

struct DecodeOptions {
  bool prune_unknown = true;  // remove unknown fields from the object
  // False for custom resources: whatever has another JSON type than declared is left as it is, for
  // their own validation (422) to report.
  bool check_types = true;
  std::size_t max_depth = 256;  // of nesting; beyond it: 400
  // Objects in all lists together: RequestEntityTooLarge beyond. An empty container, three bytes,
  // becomes kilobytes by its defaults.
  std::size_t max_listed_objects = 20'000;
  std::size_t max_reported = 100;  // unknown fields listed; the rest are pruned unlisted
};

struct DecodeReport {
  // Paths as spec.containers[0].foo, sorted level by level.
  std::vector<std::string> unknown_fields;
  std::vector<std::string> duplicate_fields;  // the caller's, from parse_json (json_text.h)

  bool clean() const { return unknown_fields.empty() && duplicate_fields.empty(); }
  // `unknown field "spec.replicsa"`, `duplicate field "data.a"`: the texts of Warning headers.
  std::vector<std::string> messages() const;
};

// On error (400 BadRequest, e.g. `Deployment in version "v1" cannot be handled as a Deployment:
// json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`)
// the object is left partly normalised and must not be used.
Result<DecodeReport> decode(Type type, Json& object, const DecodeOptions& options = {});

// The 400 for fieldValidation=Strict: `ConfigMap in version "v1" cannot be handled as a ConfigMap:
// strict decoding error: unknown field "bogus"`.
Error strict_decoding_error(Type type, const DecodeReport& report);

}  // namespace moth::schema

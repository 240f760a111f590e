#include "api/base/json.h"
#include "api/resources/authentication_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr const char* kGroup = "authentication.k8s.io";
constexpr std::int64_t kShortestToken = 600;
constexpr std::int64_t kLongestToken = std::int64_t{1} << 32;
constexpr std::int64_t kUsualToken = 3600;

ResourceDef review(std::string resource, std::string singular, const std::string& kind) {
  ResourceDef row = row_of(kGroup, "v1", std::move(resource), std::move(singular), kind,
                           "authentication.v1." + kind);
  row.namespaced = false;
  row.verbs = kCreate;
  row.durability = Durability::kVirtual;
  return row;
}

FieldErrors validate_token_request(const Json& object) {
  FieldErrors errors;
  FieldPath path = FieldPath("spec").child("expirationSeconds");
  std::int64_t seconds = int_or(object_of(object, "spec"), "expirationSeconds");
  if (seconds < kShortestToken) {
    errors.push_back(
        FieldError::invalid(path, seconds, "may not specify a duration less than 10 minutes"));
  }
  if (seconds > kLongestToken) {
    errors.push_back(
        FieldError::invalid(path, seconds, "may not specify a duration larger than 2^32 seconds"));
  }
  return errors;
}

}  // namespace

ResourceDef self_subject_reviews() {
  return review("selfsubjectreviews", "selfsubjectreview", "SelfSubjectReview");
}

ResourceDef token_reviews() {
  return review("tokenreviews", "tokenreview", "TokenReview");
}

ResourceDef token_requests() {
  ResourceDef row = review("tokenrequests", "tokenrequest", "TokenRequest");
  row.namespaced = true;
  row.set_defaults = [](Json& object) {
    default_to(object_at(object, "spec"), "expirationSeconds", kUsualToken);
  };
  row.validate = validate_token_request;
  return row;
}

}  // namespace moth::resources

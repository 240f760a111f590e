#pragma once
// AdmissionReview (admission.k8s.io/v1): what is asked and what is answered. Pure functions.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/base/result.h"
#include "api/machinery/gvk.h"
#include "api/server/admission/admission.h"

namespace moth::server {

// The request as webhooks and match conditions see it (`request` of an AdmissionReview). `def` is
// the version that the webhook asked for, `object` and `old` (null: none) are in it.
Json review_request(const AdmissionRequest& request, const resources::ResourceDef& def,
                    const std::string& uid, const Json* object, const Json* old);
Json review_of(Json request);

struct ReviewAnswer {
  bool allowed = false;
  Json patch;   // JSON patch; null: none
  Json status;  // of a refusal; null: none
  std::vector<std::string> warnings;
};
// BadRequest with upstream's text when `body` is no answer to the review `uid`.
Result<ReviewAnswer> read_answer(const std::string& body, const std::string& uid, bool may_patch);

// `admission webhook "x" denied the request: ...`, with the code that the webhook chose.
Error refusal(const std::string& webhook, const Json& status);

}  // namespace moth::server

#pragma once
// The kinds that ask about users and rights instead of being stored: TokenReview, TokenRequest
// (serviceaccounts/token), SelfSubjectReview, and the access and rules reviews. Control thread.
#include <memory>

#include "api/server/auth/authenticator.h"
#include "api/server/auth/authorizer.h"
#include "api/server/auth/service_account_tokens.h"
#include "api/server/pipeline.h"

namespace moth::server {

struct ReviewServices {
  std::shared_ptr<const Authorizer> authorizer;
  // Tokens of the token file.
  std::shared_ptr<const Authenticator> authenticator;
  // Null: no token of a service account is issued or known.
  std::shared_ptr<ServiceAccountTokens> tokens;
};

// Makes the pipeline answer them. Before the first request.
void answer_reviews(Pipeline& pipeline, ReviewServices services);

// As the API shows a user: username, uid, groups, extra.
Json user_json(const UserInfo& user);

}  // namespace moth::server

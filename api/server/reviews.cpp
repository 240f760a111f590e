#include "api/server/reviews.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/authentication_v1/rows.h"
#include "api/resources/authorization_v1/rows.h"

namespace moth::server {
namespace {

std::vector<std::string> texts(const Json& object, const char* field) {
  std::vector<std::string> out;
  const Json* list = find_member(object, field);
  if (!list || !list->is_array()) return out;
  for (const Json& entry : *list) {
    if (entry.is_string()) out.push_back(entry.get<std::string>());
  }
  return out;
}

std::map<std::string, std::vector<std::string>> extra_of(const Json& spec) {
  std::map<std::string, std::vector<std::string>> extra;
  const Json* given = find_member(spec, "extra");
  if (!given || !given->is_object()) return extra;
  for (const auto& [key, value] : given->items()) {
    for (const Json& entry : value) {
      if (entry.is_string()) extra[key].push_back(entry.get<std::string>());
    }
  }
  return extra;
}

Attributes wanted_by(const Json& spec) {
  Attributes wanted;
  if (const Json* resource = find_member(spec, "resourceAttributes")) {
    wanted.verb = string_or(*resource, "verb");
    wanted.group = string_or(*resource, "group");
    wanted.version = string_or(*resource, "version");
    wanted.resource = string_or(*resource, "resource");
    wanted.subresource = string_or(*resource, "subresource");
    wanted.ns = string_or(*resource, "namespace");
    wanted.name = string_or(*resource, "name");
    return wanted;
  }
  wanted.is_resource = false;
  if (const Json* path = find_member(spec, "nonResourceAttributes")) {
    wanted.verb = string_or(*path, "verb");
    wanted.path = string_or(*path, "path");
  }
  return wanted;
}

Json verdict_json(const Verdict& verdict) {
  Json status = {{"allowed", verdict.allowed}};
  if (!verdict.reason.empty()) status["reason"] = verdict.reason;
  return status;
}

const Json& spec_of(const Json& review) {
  static const Json kNone = Json::object();
  const Json* spec = find_member(review, "spec");
  return spec ? *spec : kNone;
}

Task<Result<Json>> access_review(ReviewServices services, Target target, Json review) {
  const Json& spec = spec_of(review);
  UserInfo user{string_or(spec, "user"), string_or(spec, "uid"), texts(spec, "groups")};
  user.extra = extra_of(spec);
  Attributes wanted = wanted_by(spec);
  if (target.def->namespaced && wanted.ns != target.ns) {
    co_return fail(Error::bad_request(
        fmt::format("spec.resourceAttributes.namespace must match namespace: {}", target.ns)));
  }
  review["status"] = verdict_json(services.authorizer->decide(user, wanted));
  co_return review;
}

Task<Result<Json>> self_access_review(ReviewServices services, Json review, UserInfo user) {
  Attributes wanted = wanted_by(spec_of(review));
  review["status"] = verdict_json(services.authorizer->decide(user, wanted));
  co_return review;
}

Task<Result<Json>> rules_review(ReviewServices services, Json review, UserInfo user) {
  std::string ns = string_or(spec_of(review), "namespace");
  if (ns.empty()) co_return fail(Error::bad_request("no namespace on request"));
  RuleSet held = services.authorizer->policy()->rules_for(user, ns);
  Json resources = Json::array(), paths = Json::array();
  for (const resources::PolicyRule& rule : held.rules) {
    if (!rule.non_resource_urls.empty()) {
      paths.push_back({{"verbs", rule.verbs}, {"nonResourceURLs", rule.non_resource_urls}});
      continue;
    }
    Json entry = {{"verbs", rule.verbs}};
    if (!rule.api_groups.empty()) entry["apiGroups"] = rule.api_groups;
    if (!rule.resources.empty()) entry["resources"] = rule.resources;
    if (!rule.resource_names.empty()) entry["resourceNames"] = rule.resource_names;
    resources.push_back(std::move(entry));
  }
  review["status"] = {{"resourceRules", std::move(resources)},
                      {"nonResourceRules", std::move(paths)},
                      {"incomplete", false}};
  if (!held.error.empty()) review["status"]["evaluationError"] = held.error;
  co_return review;
}

Task<Result<Json>> token_review(ReviewServices services, Json review) {
  const Json& spec = spec_of(review);
  const std::string token = string_or(spec, "token");
  if (token.empty()) {
    co_return fail(Error::bad_request("token is required for TokenReview in authentication"));
  }
  if (const UserInfo* found = services.authenticator->find(token)) {
    UserInfo user = *found;
    user.groups.emplace_back("system:authenticated");
    review["status"] = {{"authenticated", true}, {"user", user_json(user)}};
    co_return review;
  }
  Result<TokenIdentity> identity = services.tokens
                                       ? services.tokens->review(token, texts(spec, "audiences"))
                                       : Result<TokenIdentity>(fail(Error::unauthorized()));
  if (identity) {
    review["status"] = {{"authenticated", true},
                        {"user", user_json(identity->user)},
                        {"audiences", identity->audiences}};
  } else {
    review["status"] = {
        {"user", Json::object()},
        {"error", fmt::format("[invalid bearer token, {}]", identity.error().message)}};
  }
  co_return review;
}

Task<Result<Json>> token_request(ReviewServices services, Target target, Json request) {
  if (!services.tokens)
    co_return fail(Error::unavailable("this server has no key to sign tokens with"));
  const Json& spec = spec_of(request);
  TokenWish wish;
  wish.ns = target.ns;
  wish.account = target.name;
  wish.audiences = texts(spec, "audiences");
  wish.seconds = int_or(spec, "expirationSeconds", wish.seconds);
  if (const Json* ref = find_member(spec, "boundObjectRef"); ref && ref->is_object()) {
    wish.bound_api_version = string_or(*ref, "apiVersion");
    wish.bound_kind = string_or(*ref, "kind");
    wish.bound_name = string_or(*ref, "name");
    wish.bound_uid = string_or(*ref, "uid");
  }
  MOTH_CO_ASSIGN(IssuedToken issued, co_await services.tokens->issue(std::move(wish)));
  request["metadata"]["name"] = target.name;
  request["metadata"]["namespace"] = target.ns;
  request["spec"]["audiences"] = issued.audiences;
  request["status"] = {{"token", issued.token},
                       {"expirationTimestamp", format_rfc3339(issued.expires)}};
  co_return request;
}

}  // namespace

Json user_json(const UserInfo& user) {
  Json json = {{"username", user.name}};
  if (!user.uid.empty()) json["uid"] = user.uid;
  if (!user.groups.empty()) json["groups"] = user.groups;
  if (!user.extra.empty()) json["extra"] = user.extra;
  return json;
}

void answer_reviews(Pipeline& pipeline, ReviewServices services) {
  auto answer = [&](resources::ResourceDef row, Pipeline::Compute compute) {
    std::string name = row.qualified();
    pipeline.compute_on_create(std::move(name), std::move(row), std::move(compute));
  };
  answer(resources::subject_access_reviews(),
         [services](Target target, Json review, RequestContext&) {
           return access_review(services, std::move(target), std::move(review));
         });
  answer(resources::local_subject_access_reviews(),
         [services](Target target, Json review, RequestContext&) {
           return access_review(services, std::move(target), std::move(review));
         });
  answer(resources::self_subject_access_reviews(),
         [services](Target, Json review, RequestContext& context) {
           return self_access_review(services, std::move(review), context.user);
         });
  answer(resources::self_subject_rules_reviews(),
         [services](Target, Json review, RequestContext& context) {
           return rules_review(services, std::move(review), context.user);
         });
  answer(resources::self_subject_reviews(),
         [](Target, Json review, RequestContext& context) -> Task<Result<Json>> {
           review["status"] = {{"userInfo", user_json(context.user)}};
           co_return review;
         });
  answer(resources::token_reviews(), [services](Target, Json review, RequestContext&) {
    return token_review(services, std::move(review));
  });
  pipeline.compute_on_create("serviceaccounts/token", resources::token_requests(),
                             [services](Target target, Json request, RequestContext&) {
                               return token_request(services, std::move(target),
                                                    std::move(request));
                             });
}

}  // namespace moth::server

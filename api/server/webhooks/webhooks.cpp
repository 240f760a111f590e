#include "api/server/webhooks/webhooks.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/base/task_scope.h"
#include "api/cel/cel.h"
#include "api/machinery/patch_json.h"
#include "api/resources/edit.h"
#include "api/server/webhooks/caller.h"
#include "api/server/webhooks/review.h"

namespace moth::server {
namespace {

constexpr const char* kGroup = "admissionregistration.k8s.io";

// One webhook that concerns a request, with the version of the resource that it asked for.
struct Match {
  Webhook webhook;
  const resources::ResourceDef* def;
};

bool is_configuration(const resources::ResourceDef& def) {
  return def.group == kGroup;
}

// All webhooks of one kind of configuration, by the configurations' names.
class Configurations {
 public:
  Configurations(Storage& storage, const resources::ResourceDef* def, bool enabled)
      : storage_(storage), def_(enabled ? def : nullptr) {
    if (def_) storage.subscribe(*def_, [this](const StoreEvent&) { stale_ = true; });
  }
  const std::vector<Webhook>& all() {
    if (def_ && stale_) {
      stale_ = false;
      webhooks_.clear();
      for (const ObjectPtr& object : storage_.list(*def_, "").objects) {
        for (Webhook& webhook : parse_webhooks(*object)) webhooks_.push_back(std::move(webhook));
      }
    }
    return webhooks_;
  }

 private:
  Storage& storage_;
  const resources::ResourceDef* def_;
  bool stale_ = true;
  std::vector<Webhook> webhooks_;
};

Json in_version(const resources::ResourceDef& def, const Json& stored) {
  return def.is_storage() || !def.from_storage ? stored : def.from_storage(stored);
}

bool is_object(const Json& json) {
  return json.is_object() && !json.empty();
}

class Webhooks final : public RemoteAdmission {
 public:
  Webhooks(asio::any_io_executor control, asio::any_io_executor io, asio::any_io_executor blocking,
           Storage& storage, const resources::Registry& registry, RandomSource random,
           WebhookOptions options)
      : control_(std::move(control)),
        storage_(storage),
        registry_(registry),
        random_(std::move(random)),
        namespaces_(registry.find("", "v1", "namespaces")),
        mutating_(storage, registry.find(kGroup, "v1", "mutatingwebhookconfigurations"),
                  options.mutating),
        validating_(storage, registry.find(kGroup, "v1", "validatingwebhookconfigurations"),
                    options.validating),
        caller_(std::move(io), std::move(blocking), storage, registry, options.max_answer_bytes,
                options.max_clients) {}

  bool concerns(const AdmissionRequest& request) const override {
    for (Configurations* kind : {&mutating_, &validating_}) {
      for (const Webhook& webhook : kind->all()) {
        if (version_for(webhook, request)) return true;
      }
    }
    return false;
  }

  Task<Result<bool>> mutate(const AdmissionRequest& request, Json& object,
                            RemoteRun& run) override {
    bool changed = false;
    std::vector<std::string> asked;
    // Something else (a built-in step) changed the object behind the last webhook.
    bool moved = run.second && object.dump() != run.last_output;
    for (const Match& match : matching(mutating_, request, object)) {
      std::string key = match.webhook.key();
      if (run.second) {
        bool wanted = std::find(run.wanted_again.begin(), run.wanted_again.end(), key) !=
                      run.wanted_again.end();
        bool late = !moved && !wanted;
        if (!match.webhook.reinvoke || late) continue;
      }
      MOTH_CO_ASSIGN(ReviewAnswer answer, co_await ask(match, request, object, true));
      if (!answer.patch.is_null() && is_object(object)) {
        MOTH_CO_ASSIGN(bool differs, apply(match, answer, object));
        if (differs) {
          changed = true;
          // Those before have not seen this.
          run.wanted_again = asked;
        }
      }
      asked.push_back(key);
    }
    run.last_output = object.dump();
    co_return changed;
  }

  // All at once; the first refusal in order of the configurations wins.
  Task<Result<>> validate(const AdmissionRequest& request, const Json& object) override {
    std::vector<Match> matches = matching(validating_, request, object);
    if (matches.empty()) co_return Result<>{};
    std::vector<Result<>> verdicts(matches.size());
    TaskScope scope(control_);
    for (std::size_t i = 0; i < matches.size(); ++i)
      scope.spawn("validating webhook", ask_into(matches[i], request, object, verdicts[i]));
    co_await scope.join();
    for (Result<>& verdict : verdicts) {
      if (!verdict) co_return verdict;
    }
    co_return Result<>{};
  }

 private:
  // Null when no rule matches.
  const resources::ResourceDef* version_for(const Webhook& webhook,
                                            const AdmissionRequest& request) const {
    if (is_configuration(request.def)) return nullptr;
    const resources::ResourceDef& asked = request.requested ? *request.requested : request.def;
    auto fits = [&](const resources::ResourceDef& def) {
      return std::any_of(webhook.rules.begin(), webhook.rules.end(), [&](const WebhookRule& rule) {
        return rule.matches(request.operation, def.gvr(), request.subresource, def.namespaced);
      });
    };
    if (fits(asked)) return &asked;
    if (!webhook.equivalent) return nullptr;
    for (const resources::ResourceDef* def : registry_.all()) {
      if (def->storage_index == asked.storage_index && def != &asked && fits(*def)) return def;
    }
    return nullptr;
  }

  Labels namespace_labels(const AdmissionRequest& request, const Json& object) const {
    // A namespace is selected by its own labels.
    if (request.def.resource == "namespaces" && request.def.group.empty())
      return labels_of(is_object(object) ? object : request.old ? *request.old : object);
    ObjectPtr ns = storage_.latest(*namespaces_, "", request.ns);
    return ns ? ns->meta().labels : Labels();
  }

  static Labels labels_of(const Json& object) {
    Labels labels;
    for (const auto& [key, value] :
         resources::object_of(resources::object_of(object, "metadata"), "labels").items()) {
      if (value.is_string()) labels.emplace(key, value.get<std::string>());
    }
    return labels;
  }

  bool selected(const Webhook& webhook, const AdmissionRequest& request, const Json& object) const {
    bool in_namespace = !request.ns.empty() || request.def.resource == "namespaces";
    if (in_namespace && !webhook.namespaces.matches_everything() &&
        !webhook.namespaces.matches(namespace_labels(request, object)))
      return false;
    if (webhook.objects.matches_everything()) return true;
    if (is_object(object) && request.operation != Operation::kConnect &&
        webhook.objects.matches(labels_of(object)))
      return true;
    return request.old && webhook.objects.matches(labels_of(*request.old));
  }

  std::vector<Match> matching(Configurations& kind, const AdmissionRequest& request,
                              const Json& object) const {
    std::vector<Match> found;
    for (const Webhook& webhook : kind.all()) {
      const resources::ResourceDef* def = version_for(webhook, request);
      if (def && selected(webhook, request, object)) found.push_back({webhook, def});
    }
    return found;
  }

  // Whether the match conditions hold; Forbidden when they cannot be evaluated.
  Result<bool> conditions_hold(const Webhook& webhook, const AdmissionRequest& request,
                               const Json& review) const {
    std::string failure;
    cel::Budget budget;
    cel::Bindings bindings = {{"object", cel::Value::of(review.at("object"), cel::dyn())},
                              {"oldObject", cel::Value::of(review.at("oldObject"), cel::dyn())},
                              {"request", cel::Value::of(review, cel::dyn())}};
    for (const MatchCondition& condition : webhook.conditions) {
      auto verdict = condition.program ? condition.program->evaluate_bool(bindings, budget)
                                       : Result<bool>(fail(Error::bad_request(condition.error)));
      if (verdict && !*verdict) return false;
      if (!verdict && failure.empty()) {
        failure = fmt::format("expression of match condition '{}' resulted in error: {}",
                              condition.name, verdict.error().message);
      }
    }
    if (failure.empty()) return true;
    if (!webhook.must_not_fail) return false;
    return fail(Error::forbidden(request.def.qualified(), request.name, failure));
  }

  // An allowed answer without a patch when the webhook need not be asked, or may fail and did.
  Task<Result<ReviewAnswer>> ask(Match match, const AdmissionRequest& request, const Json& object,
                                 bool mutating) {
    const Webhook& webhook = match.webhook;
    ReviewAnswer pass;
    pass.allowed = true;
    std::string uid = uuid_v4(random_);
    Json shown = is_object(object) ? in_version(*match.def, object) : Json();
    Json old = request.old ? in_version(*match.def, *request.old) : Json();
    Json review = review_request(request, *match.def, uid, shown.is_null() ? nullptr : &shown,
                                 old.is_null() ? nullptr : &old);
    MOTH_CO_ASSIGN(bool holds, conditions_hold(webhook, request, review));
    if (!holds) co_return pass;
    if (request.context.dry_run && webhook.side_effects) {
      co_return fail(Error::bad_request(
          fmt::format("admission webhook \"{}\" does not support dry run", webhook.name)));
    }
    auto answer = co_await asked(webhook, review_of(std::move(review)), uid, mutating);
    if (!answer) {
      std::string why = fmt::format("failed calling webhook \"{}\": failed to call webhook: {}",
                                    webhook.name, answer.error().message);
      if (webhook.must_not_fail) co_return fail(Error::internal(why));
      log::warning("a webhook that may fail did", log::field("webhook", webhook.key()),
                   log::field("error", answer.error().message));
      co_return pass;
    }
    for (const std::string& text : answer->warnings) request.context.warnings.push_back(text);
    if (!answer->allowed) co_return fail(refusal(webhook.name, answer->status));
    co_return std::move(*answer);
  }

  Task<Result<ReviewAnswer>> asked(const Webhook& webhook, Json review, std::string uid,
                                   bool mutating) {
    if (!webhook.speaks_v1) {
      co_return fail(
          Error::bad_request("webhook does not accept known AdmissionReview versions (v1)"));
    }
    auto body = co_await caller_.call(webhook, review.dump());
    if (!body) co_return fail(body.error());
    co_return read_answer(*body, uid, mutating);
  }

  Task<void> ask_into(Match match, const AdmissionRequest& request, const Json& object,
                      Result<>& verdict) {
    auto answer = co_await ask(std::move(match), request, object, false);
    if (!answer) verdict = fail(answer.error());
  }

  Result<bool> apply(const Match& match, const ReviewAnswer& answer, Json& object) const {
    auto patched = apply_json_patch(in_version(*match.def, object), answer.patch);
    if (!patched) {
      return fail(Error::internal(fmt::format("failed to apply the patch of webhook \"{}\": {}",
                                              match.webhook.name, patched.error().message)));
    }
    bool as_is = match.def->is_storage() || !match.def->to_storage;
    Json result = as_is ? std::move(*patched) : match.def->to_storage(*patched);
    if (result == object) return false;
    object = std::move(result);
    return true;
  }

  asio::any_io_executor control_;
  Storage& storage_;
  const resources::Registry& registry_;
  RandomSource random_;
  const resources::ResourceDef* namespaces_;
  mutable Configurations mutating_, validating_;
  WebhookCaller caller_;
};

}  // namespace

std::unique_ptr<RemoteAdmission> make_webhooks(asio::any_io_executor control,
                                               asio::any_io_executor io,
                                               asio::any_io_executor blocking, Storage& storage,
                                               const resources::Registry& registry,
                                               RandomSource random, WebhookOptions options) {
  return std::make_unique<Webhooks>(std::move(control), std::move(io), std::move(blocking), storage,
                                    registry, std::move(random), options);
}

}  // namespace moth::server

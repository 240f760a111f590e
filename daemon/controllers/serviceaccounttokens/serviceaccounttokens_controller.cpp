#include "daemon/controllers/serviceaccounttokens/serviceaccounttokens_controller.h"

#include "api/base/json.h"
#include "api/schema/base64.h"

namespace moth::controllers {
namespace {

constexpr const char* kType = "kubernetes.io/service-account-token";
constexpr const char* kAccount = "kubernetes.io/service-account.name";
constexpr const char* kAccountUid = "kubernetes.io/service-account.uid";

bool is_token_secret(const Object& secret) {
  if (secret.meta().annotation(kAccount).empty()) return false;
  return string_or(*secret.dom(), "type") == kType;
}

// Keys are Secrets.
class TokenSecrets final : public Controller {
 public:
  TokenSecrets(ControllerContext context, TokenSecretOptions options)
      : context_(context), options_(std::move(options)) {}
  std::string_view name() const override { return "serviceaccount-token"; }

  void subscribe(WorkQueue& queue) override {
    context_.subscriptions.subscribe(
        client::gvr::kSecrets, [&queue](const client::ObjectReader::Change& change) {
          // Most Secrets lack the annotation: those cost nothing.
          if (change.object && !change.object->meta().annotation(kAccount).empty())
            queue.add({change.object->ns(), change.object->name()});
        });
    for (const ObjectPtr& secret : context_.reader.list(client::gvr::kSecrets)) {
      if (is_token_secret(*secret)) queue.add({secret->ns(), secret->name()});
    }
    context_.subscriptions.subscribe(
        client::gvr::kServiceAccounts, [this, &queue](const client::ObjectReader::Change& change) {
          if (change.object && change.previous) return;
          const Object& account = change.any();
          for (const ObjectPtr& secret :
               context_.reader.list(client::gvr::kSecrets, account.ns())) {
            if (secret->meta().annotation(kAccount) == account.name())
              queue.add({secret->ns(), secret->name()});
          }
        });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr secret = context_.reader.get(client::gvr::kSecrets, key.ns, key.name);
    if (!secret || secret->meta().deletion_time || !is_token_secret(*secret)) co_return Requeue{};
    const std::string account_name = secret->meta().annotation(kAccount);
    ObjectPtr account = context_.reader.get(client::gvr::kServiceAccounts, key.ns, account_name);
    const std::string uid = secret->meta().annotation(kAccountUid);
    if (!account || (!uid.empty() && uid != account->uid())) {
      client::DeleteOptions options;
      options.precondition_uid = secret->uid();
      auto removed =
          co_await context_.client.remove(client::gvr::kSecrets, key.ns, key.name, options);
      if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
      co_return Requeue{};
    }
    co_return co_await fill_in(std::move(secret), std::move(account));
  }

 private:
  Task<Result<Requeue>> fill_in(ObjectPtr secret, ObjectPtr account) {
    Json object = secret->parse();
    const Json before = object;
    Json& data = object["data"];
    if (!data.is_object()) data = Json::object();
    data["ca.crt"] = schema::encode_base64(options_.ca_pem);
    data["namespace"] = schema::encode_base64(secret->ns());
    object["metadata"]["annotations"][kAccountUid] = account->uid();
    if (string_or(data, "token").empty()) {
      MOTH_CO_ASSIGN(std::string token,
                     options_.sign(secret->ns(), account->name(), account->uid(), secret->name()));
      data["token"] = schema::encode_base64(token);
    }
    if (object == before) co_return Requeue{};
    auto written = co_await context_.client.update(client::gvr::kSecrets, secret->ns(),
                                                   secret->name(), std::move(object));
    if (!written) co_return fail(written.error());
    co_return Requeue{};
  }

  ControllerContext context_;
  TokenSecretOptions options_;
};

}  // namespace

std::unique_ptr<Controller> make_serviceaccounttokens_controller(ControllerContext context,
                                                                 TokenSecretOptions options) {
  return std::make_unique<TokenSecrets>(context, std::move(options));
}

}  // namespace moth::controllers

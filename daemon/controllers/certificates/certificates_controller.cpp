#include "daemon/controllers/certificates/certificates_controller.h"

#include "api/base/json.h"
#include "api/schema/base64.h"

namespace moth::controllers {
namespace {

const Gvr kRequests{"certificates.k8s.io", "v1", "certificatesigningrequests"};

std::string pem_of(const Json& csr, const char* part, const char* field) {
  const Json* text = find_path(csr, part, field);
  if (!text || !text->is_string()) return "";
  return schema::decode_base64(text->get_ref<const std::string&>()).value_or("");
}

class CertificatesController final : public Controller {
 public:
  CertificatesController(ControllerContext context, CertificateOptions options)
      : context_(context), options_(std::move(options)) {}
  std::string_view name() const override { return "certificates"; }

  void subscribe(WorkQueue& queue) override { watch_own(context_.subscriptions, kRequests, queue); }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr object = context_.reader.get(kRequests, "", key.name);
    if (!object || object->meta().deletion_time) co_return Requeue{};
    Json csr = object->parse();
    const WallTime now = context_.clock.wall();
    const std::string certificate = pem_of(csr, "status", "certificate");
    std::optional<WallTime> not_after;
    if (!certificate.empty()) {
      if (auto end = options_.not_after(certificate)) not_after = *end;
    }
    const WallTime end = cleaned_at(csr, object->meta().created.value_or(now), not_after);
    if (end <= now) {
      client::DeleteOptions options;
      options.precondition_uid = object->uid();
      auto removed = co_await context_.client.remove(kRequests, "", key.name, options);
      if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
      co_return Requeue{};
    }
    const bool decided = has_condition(csr, "Denied") || has_condition(csr, "Failed");
    if (!decided && certificate.empty() && is_signed_here(csr)) {
      auto worked = has_condition(csr, "Approved") ? co_await sign(std::move(csr))
                                                   : co_await approve(std::move(csr));
      if (!worked) co_return fail(worked.error());
    }
    if (end == WallTime::max()) co_return Requeue{};
    co_return Requeue{std::chrono::duration_cast<Duration>(end - now) + std::chrono::seconds(1)};
  }

 private:
  Task<Result<>> approve(Json csr) {
    auto request = options_.inspect(pem_of(csr, "spec", "request"));
    if (!request) co_return Result<>{};
    const AutoApproval kind = auto_approval(csr, *request);
    if (kind == AutoApproval::kNone) co_return Result<>{};
    const bool self = kind == AutoApproval::kSelf;
    if (!options_.may_create(csr.at("spec"), self ? "selfnodeclient" : "nodeclient"))
      co_return Result<>{};
    csr["status"]["conditions"].push_back(
        condition("Approved", "AutoApproved",
                  self ? "Auto approving self kubelet client certificate after SubjectAccessReview."
                       : "Auto approving kubelet client certificate after SubjectAccessReview.",
                  context_.clock.wall()));
    co_return co_await write(std::move(csr), "approval");
  }

  Task<Result<>> sign(Json csr) {
    const std::string pem = pem_of(csr, "spec", "request");
    auto request = options_.inspect(pem);
    std::string problem = request ? refusal(csr, *request) : request.error().message;
    if (problem.empty()) {
      auto certificate = options_.sign(pem, usages_of(csr), certificate_life(csr));
      if (!certificate) co_return fail(certificate.error());
      csr["status"]["certificate"] = schema::encode_base64(*certificate);
    } else {
      csr["status"]["conditions"].push_back(
          condition("Failed", "SignerValidationFailure", problem, context_.clock.wall()));
    }
    co_return co_await write(std::move(csr), "status");
  }

  Task<Result<>> write(Json csr, std::string subresource) {
    client::WriteOptions options;
    options.subresource = std::move(subresource);
    std::string name = csr.at("metadata").at("name").get<std::string>();
    auto written =
        co_await context_.client.update(kRequests, "", std::move(name), std::move(csr), options);
    if (!written) co_return fail(written.error());
    co_return Result<>{};
  }

  ControllerContext context_;
  CertificateOptions options_;
};

}  // namespace

std::unique_ptr<Controller> make_certificates_controller(ControllerContext context,
                                                         CertificateOptions options) {
  return std::make_unique<CertificatesController>(context, std::move(options));
}

}  // namespace moth::controllers

#include "ctl/commands/generator_command.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Outcome<Json> bound_object(const Arguments& arguments) {
  const std::string &kind = arguments.text("bound-object-kind"),
                    &name = arguments.text("bound-object-name"),
                    &uid = arguments.text("bound-object-uid");
  if (kind.empty()) {
    if (!name.empty())
      return refuse("--bound-object-name can only be set if --bound-object-kind is provided");
    if (!uid.empty())
      return refuse("--bound-object-uid can only be set if --bound-object-kind is provided");
    return Json(nullptr);
  }
  if (kind != "Pod" && kind != "Secret" && kind != "Node")
    return refuse("supported --bound-object-kind values are Node, Pod, Secret");
  if (name.empty())
    return refuse("--bound-object-name is required if --bound-object-kind is provided");
  Json reference{{"apiVersion", "v1"}, {"kind", kind}, {"name", name}};
  if (!uid.empty()) reference["uid"] = uid;
  return reference;
}

Outcome<int> run_token(Context& context, const Arguments& arguments) {
  MOTH_TRY(require_one_name(context, arguments, false));
  Json spec = Json::object();
  for (const std::string& audience : arguments.texts("audience")) {
    if (audience.empty()) return refuse("--audience must not be an empty string");
    spec["audiences"].push_back(audience);
  }
  auto duration = arguments.duration("duration");
  if (duration.count() < 0) return refuse("--duration must be greater than or equal to 0");
  if (duration.count() % 1000 != 0)
    return refuse("--duration cannot be expressed in units less than seconds");
  if (duration.count() > 0) spec["expirationSeconds"] = duration.count() / 1000;
  MOTH_ASSIGN(Json bound, bound_object(arguments));
  if (!bound.is_null()) spec["boundObjectRef"] = std::move(bound);
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(const ApiResource* accounts, api->resource("serviceaccounts"));
  RestRequest request;
  request.method = "POST";
  request.path = accounts->path(ns, arguments.words[0], "token");
  request.content_type = "application/json";
  request.body = Json{{"apiVersion", "authentication.k8s.io/v1"},
                      {"kind", "TokenRequest"},
                      {"metadata", Json::object()},
                      {"spec", std::move(spec)}}
                     .dump();
  auto answer = api->json(std::move(request));
  if (!answer) {
    if (answer.error().origin != Failure::Origin::kServer) return fail(answer.error());
    return refuse("failed to create token: " + answer.error().error.message);
  }
  if (!arguments.text("output").empty()) {
    MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments));
    printer.print(*answer, "created");
    return context.exit_code();
  }
  const Json* status = find_member(*answer, "status");
  std::string token = status ? string_or(*status, "token") : "";
  if (token.empty()) return refuse("failed to create token: no token in server response");
  context.print("{}\n", token);
  return 0;
}

}  // namespace

Command create_token_command() {
  return {
      .name = "token",
      .summary = "Request a service account token",
      .usage = "SERVICE_ACCOUNT_NAME",
      .examples = "moth create token ci --duration 10m\nmoth create token ci -n build",
      .flags = join_flags({print_flags(),
                           {{"audience", 0, FlagKind::kTexts, "", "Who is to accept the token."},
                            {"bound-object-kind", 0, FlagKind::kText, "",
                             "The token ends with this object: Node, Pod or Secret."},
                            {"bound-object-name", 0, FlagKind::kText, "", "Name of that object."},
                            {"bound-object-uid", 0, FlagKind::kText, "", "UID of that object."},
                            {"duration", 0, FlagKind::kDuration, "0", "How long it is valid."}}}),
      .run = run_token};
}

}  // namespace moth::ctl

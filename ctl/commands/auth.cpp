// auth can-i and whoami.
#include <fmt/format.h>

#include "ctl/commands/all.h"
#include "ctl/commands/auth_reconcile.h"
#include "ctl/describe/rbac_rules.h"
#include "ctl/describe/writer.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

Outcome<Json> review(Context& context, std::string_view group_version, std::string_view plural,
                     std::string_view kind, Json spec) {
  MOTH_ASSIGN(Api * api, context.api());
  Json body{{"apiVersion", group_version}, {"kind", kind}, {"metadata", Json::object()}};
  if (!spec.is_null()) body["spec"] = std::move(spec);
  RestRequest request;
  request.method = "POST";
  request.path = fmt::format("/apis/{}/{}", group_version, plural);
  request.content_type = "application/json";
  request.body = body.dump();
  return api->json(std::move(request));
}

std::string bracketed(const Json& object, const char* member) {
  std::string text;
  for (const Json& word : object.value(member, Json::array()))
    text += (text.empty() ? "" : " ") + word.get<std::string>();
  return "[" + text + "]";
}

std::string rules_text(const Json& status, bool headers) {
  std::string text;
  if (headers) text = "Resources\tNon-Resource URLs\tResource Names\tVerbs\n";
  Json rules = Json::array();
  for (const char* member : {"resourceRules", "nonResourceRules"}) {
    Json list = status.value(member, Json::array());
    if (!list.is_array()) continue;
    for (Json& rule : list) rules.push_back(std::move(rule));
  }
  for (const SingleRule& rule : single_rules(rules)) {
    text += fmt::format("{}\t{}\t{}\t{}\n", rule.shown(), rule.urls, rule.names,
                        bracketed_text(&rule.verbs));
  }
  return align_columns(text, kTableRules);
}

Outcome<int> list_rules(Context& context, const Arguments& arguments) {
  if (!arguments.words.empty()) return refuse("list option must be specified with no arguments");
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(Json answer, review(context, "authorization.k8s.io/v1", "selfsubjectrulesreviews",
                                  "SelfSubjectRulesReview", {{"namespace", ns}}));
  const Json status = answer.value("status", Json::object());
  if (bool_or(status, "incomplete"))
    context.warn("warning: the list may be incomplete: {}", string_or(status, "evaluationError"));
  context.write_out(rules_text(status, !arguments.flag("no-headers")));
  return 0;
}

// What VERB TYPE, TYPE/NAME or URL asks for.
Outcome<Json> access_spec(Context& context, const Arguments& arguments) {
  const std::string &verb = arguments.words[0], &word = arguments.words[1];
  if (word.starts_with('/'))
    return Json{{"nonResourceAttributes", {{"path", word}, {"verb", verb}}}};
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  auto slash = word.find('/');
  std::string type = word.substr(0, slash);
  Json attributes{{"verb", verb}};
  if (slash != std::string::npos) attributes["name"] = word.substr(slash + 1);
  if (!arguments.text("subresource").empty())
    attributes["subresource"] = arguments.text("subresource");
  MOTH_ASSIGN(const client::RestMapper* mapper, api->mapper());
  const ApiResource* resource = mapper->find(type);
  bool quiet = arguments.flag("quiet");
  if (type == "*") {
    attributes["resource"] = type;
  } else if (resource) {
    attributes["group"] = resource->group;
    attributes["version"] = resource->version;
    attributes["resource"] = resource->plural;
    if (!resource->namespaced && !arguments.flag("all-namespaces")) {
      if (!quiet)
        context.warn("Warning: resource '{}' is not namespace scoped{}\n", resource->plural,
                     resource->group.empty() ? "" : fmt::format(" in group '{}'", resource->group));
      ns.clear();
    }
  } else {
    auto dot = type.find('.');
    attributes["resource"] = type.substr(0, dot);
    if (dot != std::string::npos) attributes["group"] = type.substr(dot + 1);
    if (!quiet) {
      context.warn(
          "Warning: the server doesn't have a resource type '{}'{}\n", type.substr(0, dot),
          dot == std::string::npos ? "" : fmt::format(" in group '{}'", type.substr(dot + 1)));
    }
  }
  if (!ns.empty() && !arguments.flag("all-namespaces")) attributes["namespace"] = ns;
  return Json{{"resourceAttributes", std::move(attributes)}};
}

Outcome<int> run_can_i(Context& context, const Arguments& arguments) {
  if (arguments.flag("list")) return list_rules(context, arguments);
  if (arguments.words.size() != 2) {
    // The full stop is kubectl's.
    return refuse(fmt::format(
        "you must specify two arguments: verb resource or verb resource/resourceName.\nSee '{} -h' "
        "for help and examples.",
        context.path()));
  }
  MOTH_ASSIGN(Json spec, access_spec(context, arguments));
  MOTH_ASSIGN(Json answer, review(context, "authorization.k8s.io/v1", "selfsubjectaccessreviews",
                                  "SelfSubjectAccessReview", std::move(spec)));
  const Json status = answer.value("status", Json::object());
  bool allowed = bool_or(status, "allowed");
  if (!arguments.flag("quiet")) {
    std::string text = allowed ? "yes" : "no";
    for (auto [member, form] :
         {std::pair("reason", " - {}"), std::pair("evaluationError", " - {}")}) {
      if (std::string words = string_or(status, member); !words.empty() && !allowed)
        text += fmt::format(fmt::runtime(form), words);
    }
    context.print("{}\n", text);
  }
  return allowed ? 0 : 1;
}

Outcome<int> run_whoami(Context& context, const Arguments& arguments) {
  auto answer = review(context, "authentication.k8s.io/v1", "selfsubjectreviews",
                       "SelfSubjectReview", nullptr);
  if (!answer) {
    if (answer.error().is(Reason::kNotFound))
      return refuse("the selfsubjectreviews API is not enabled in the cluster");
    return fail(answer.error());
  }
  if (!arguments.text("output").empty()) {
    MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments));
    printer.print(*answer, "");
    return context.exit_code();
  }
  const Json* user = find_path(*answer, "status", "userInfo");
  if (!user) return refuse("the server did not say who you are");
  std::string text = "ATTRIBUTE\tVALUE\n";
  for (auto [member, title] : {std::pair("username", "Username"), std::pair("uid", "UID")})
    if (std::string value = string_or(*user, member); !value.empty())
      text += fmt::format("{}\t{}\n", title, value);
  if (user->contains("groups")) text += fmt::format("Groups\t{}\n", bracketed(*user, "groups"));
  const Json extra = user->value("extra", Json::object());
  for (const auto& [key, value] : extra.items())
    text += fmt::format("Extra: {}\t{}\n", key, bracketed(extra, key.c_str()));
  context.write_out(align_columns(text, kTableRules));
  return 0;
}

}  // namespace

Command auth_command() {
  return {.name = "auth",
          .group = "Other",
          .summary = "Inspect authorization",
          .children = {
              {.name = "can-i",
               .summary = "Check whether an action is allowed",
               .usage = "VERB [TYPE | TYPE/NAME | NONRESOURCEURL]",
               .examples =
                   "moth auth can-i create pods\nmoth auth can-i list secrets --as=jane -n demo\n"
                   "moth auth can-i --list",
               .flags = {{"all-namespaces", 'A', FlagKind::kBool, "", "In all namespaces."},
                         {"list", 0, FlagKind::kBool, "", "Everything that is allowed."},
                         {"no-headers", 0, FlagKind::kBool, "", "With --list: no headers."},
                         {"quiet", 'q', FlagKind::kBool, "", "Say it by the exit code alone."},
                         {"subresource", 0, FlagKind::kText, "", "A subresource such as log."}},
               .run = run_can_i},
              auth_reconcile_command(),
              {.name = "whoami",
               .summary = "Who the server takes you for",
               .flags = print_flags(),
               .run = run_whoami}}};
}

}  // namespace moth::ctl

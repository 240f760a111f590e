#include <fmt/format.h>

#include <algorithm>

#include "ctl/cli/context.h"
#include "ctl/commands/all.h"
#include "ctl/commands/schema_text.h"

namespace moth::ctl {
namespace {

std::vector<std::string> split_path(const std::string& word) {
  std::vector<std::string> parts;
  for (std::size_t from = 0; from <= word.size();) {
    auto end = std::min(word.find('.', from), word.size());
    if (end > from) parts.push_back(word.substr(from, end - from));
    from = end + 1;
  }
  return parts;
}

Outcome<int> run_explain(Context& context, const Arguments& arguments) {
  if (const std::string& form = arguments.text("output"); form != "plaintext") {
    return refuse(
        fmt::format("--output={} is not supported: the types are described by OpenAPI v3 "
                    "alone, as plaintext",
                    form));
  }
  if (arguments.words.empty()) {
    return refuse(
        "You must specify the type of resource to explain. Use \"moth api-resources\" for a "
        "complete list of supported resources.");
  }
  if (arguments.words.size() > 1) return refuse("We accept only this format: explain RESOURCE");
  std::vector<std::string> path = split_path(arguments.words[0]);
  if (path.empty()) return refuse("RESOURCE or RESOURCE.FIELD.FIELD is expected");
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* resource, api->resource(path[0]));
  path.erase(path.begin());
  Gvk gvk = resource->gvk();
  if (arguments.given("api-version")) {
    GroupVersion asked = parse_api_version(arguments.text("api-version"));
    gvk = {asked.group, asked.version, gvk.kind};
  }
  RestRequest request;
  request.path = gvk.group.empty() ? "/openapi/v3/api/" + gvk.version
                                   : "/openapi/v3/apis/" + gvk.group + "/" + gvk.version;
  auto document = api->json(std::move(request));
  if (!document && document.error().is(Reason::kNotFound)) {
    return refuse(
        fmt::format("couldn't find resource for \"{}, Kind={}\"", gvk.api_version(), gvk.kind));
  }
  if (!document) return fail(document.error());
  auto text = explain_text(*document, gvk, path, arguments.flag("recursive"));
  context.write_out(text.head);
  if (!text.problem.empty()) return refuse(text.problem);
  context.write_out(text.body);
  return 0;
}

}  // namespace

Command explain_command() {
  return {.name = "explain",
          .group = "Look",
          .summary = "Get documentation for a resource",
          .usage = "TYPE[.FIELD...]",
          .examples =
              "moth explain pods\nmoth explain deploy.spec.strategy\n"
              "moth explain pod.spec --recursive",
          .flags = {{"api-version", 0, FlagKind::kText, "", "Of this version: GROUP/VERSION."},
                    {"output", 'o', FlagKind::kText, "plaintext",
                     "plaintext; nothing else is supported."},
                    {"recursive", 'R', FlagKind::kBool, "", "The fields of fields, names only."}},
          .words = Words::kResources,
          .run = run_explain};
}

}  // namespace moth::ctl

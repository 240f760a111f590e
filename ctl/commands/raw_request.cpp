#include "ctl/commands/raw_request.h"

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "ctl/cli/fetch.h"

namespace moth::ctl {

Outcome<int> send_raw_file(Context& context, const Arguments& arguments, std::string_view method) {
  const auto& files = arguments.texts("filename");
  if (method != "DELETE" && files.size() != 1)
    return refuse("--raw can only use a single local file or stdin");
  if (files.size() > 1) return refuse("--raw can only use a single local file or stdin");
  if (!arguments.words.empty() || arguments.flag("recursive"))
    return refuse("--raw stands alone: it goes neither with arguments nor with --recursive");
  if (!arguments.text("output").empty()) return refuse("--raw and --output are mutually exclusive");
  RestRequest request;
  request.method = method;
  // A query may be part of it.
  request.path = arguments.text("raw");
  request.accept = "application/json, */*";
  request.content_type = "application/json";
  if (!files.empty() && files[0] == "-") {
    request.body.assign(std::istreambuf_iterator<char>(context.in()), {});
  } else if (!files.empty()) {
    std::ifstream file(files[0], std::ios::binary);
    if (!file) return refuse(fmt::format("the path \"{}\" cannot be read", files[0]));
    request.body.assign(std::istreambuf_iterator<char>(file), {});
  }
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string text, api->text(std::move(request)));
  context.write_out(text);
  return 0;
}

}  // namespace moth::ctl

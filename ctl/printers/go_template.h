#pragma once
// Go templates (text/template) over JSON, as -o go-template understands them: actions if, range,
// with, define, template, block, break and continue, variables, pipelines, and the functions of
// Go and of kubectl (base64decode, exists). What is not known is refused by name. Immutable once
// parsed; pure.
#include <memory>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::ctl {

class GoTemplate {
 public:
  // BadRequest as Go words it: `template: output:1: unclosed action`.
  static Result<GoTemplate> parse(std::string_view text);

  // A missing member is "<no value>", or an error when not `allow_missing_keys`.
  Result<std::string> render(const Json& data, bool allow_missing_keys) const;

  struct Program;

 private:
  explicit GoTemplate(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

}  // namespace moth::ctl

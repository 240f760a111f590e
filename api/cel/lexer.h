#pragma once
// Words of an expression. Pure; any thread.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::cel {

struct Token {
  enum class Kind { kEnd, kIdent, kInt, kUint, kDouble, kString, kBytes, kPunctuation };
  Kind kind = Kind::kEnd;
  std::size_t position = 0;
  std::string text;  // decoded for strings and bytes
};

// The last token is kEnd.
Result<std::vector<Token>> split_tokens(std::string_view expression);

}  // namespace moth::cel

#pragma once
// JSON text to Json and back, for bodies that come from outside. Pure functions, any thread. The
// size of the text is the caller's to limit.
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

struct JsonTextOptions {
  std::size_t max_depth = 512;
  // Of scalars, lists and objects together: RequestEntityTooLarge beyond. A value takes up to 30
  // times its bytes of text.
  std::size_t max_values = std::numeric_limits<std::size_t>::max();
  // How many duplicates are reported at most.
  std::size_t max_duplicates = 32;
};

// One JSON value and nothing after it. BadRequest with line, column and byte offset otherwise, also
// for invalid UTF-8, lone surrogates and too deep nesting. Of duplicate members the last one wins.
Result<Json> parse_json(std::string_view text, const JsonTextOptions& options = {});
// The same; appends the path of each duplicate member ("spec.x", "spec.containers[0].name") to
// `duplicates`.
Result<Json> parse_json(std::string_view text, std::vector<std::string>& duplicates,
                        const JsonTextOptions& options = {});

// Compact text with sorted members. Numbers as encoding/json of Go writes them (1.0 as 1); invalid
// UTF-8 in a string becomes U+FFFD. Never throws.
std::string dump_json(const Json& value);
void dump_json(const Json& value, std::string& out);
// Indented by four spaces, as `kubectl get -o json` prints.
std::string dump_json_indented(const Json& value, int indent = 4);
// The text of a double as Go prints it in JSON.
std::string format_json_number(double value);
// Appends `text` quoted and escaped.
void append_json_string(std::string_view text, std::string& out);

}  // namespace moth

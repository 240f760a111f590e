#pragma once
// YAML text to Json documents and back, read as Kubernetes reads it: YAML 1.1 booleans (yes, on,
// y), octal 0755 and 0o755, merge keys, anchors. Pure functions, any thread.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json.h"  // documents hold their value
#include "api/base/result.h"

namespace moth {

struct YamlLimits {
  std::size_t max_bytes = 32u << 20;
  std::size_t max_depth = 256;
  // Nodes in all documents together, each use of an alias counted in full: the guard against
  // documents that grow exponentially.
  std::size_t max_nodes = 2'000'000;
  std::size_t max_documents = 20'000;
};

struct YamlDuplicate {
  int line = 0;  // 1-based
  std::string key;
};

struct YamlDocument {
  Json value;
  int line = 1;  // where the document's first node is, 1-based
  // Keys given twice in one mapping; the last one won.
  std::vector<YamlDuplicate> duplicates;
};

// Documents separated by `---`; those without content are left out. A text that starts with `{` is
// read as a stream of JSON values when it is one. BadRequest with "error converting YAML to JSON:
// yaml: line 3: ..." otherwise.
Result<std::vector<YamlDocument>> parse_yaml_documents(std::string_view text,
                                                       const YamlLimits& limits = {});
// Exactly one document (empty text is null). With `strict`, a duplicate key is an error.
Result<Json> parse_yaml(std::string_view text, bool strict = false, const YamlLimits& limits = {});

// Block style as kubectl prints: sorted keys, list dashes at the column of their key, strings
// quoted only when needed, several lines as a literal block. Ends in a newline.
std::string to_yaml(const Json& value);

}  // namespace moth

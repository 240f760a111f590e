#pragma once
// The parsed form of a JSONPath template and its evaluation. Internal to jsonpath*.cpp.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/jsonpath.h"

namespace moth::jsonpath {

struct Node;
using Nodes = std::vector<Node>;

enum class NodeKind {
  kValue,  // a literal
  kField,
  kSlice,
  kWildcard,
  kRecursive,
  kUnion,
  kFilter,
};

enum class FilterOperator {
  kExists,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual
};

struct Slice {
  std::optional<std::int64_t> start, end, step;
  bool single = false;  // [n]: end follows from start
};

struct Node {
  NodeKind kind = NodeKind::kValue;
  Json value;                   // kValue
  std::string name;             // kField
  Slice slice;                  // kSlice
  std::vector<Nodes> branches;  // kUnion; of kFilter the left and the right side
  FilterOperator op = FilterOperator::kExists;
};

// Text, one {expression}, or {range expression} with the segments up to its {end}.
struct Segment {
  bool is_range = false;
  Nodes nodes;
  std::vector<Segment> body;
};
using Segments = std::vector<Segment>;

Result<Segments> parse_template(std::string_view text);

using Values = std::vector<const Json*>;

// One use. Results point into the data, the program or the evaluator.
class Evaluator {
 public:
  explicit Evaluator(bool allow_missing_keys) : allow_missing_keys_(allow_missing_keys) {}
  Result<std::vector<Values>> run(const Segments& segments, const Json& data);

 private:
  Result<void> run_segments(const Segments& segments, const Values& current,
                            std::vector<Values>& results);
  Result<Values> walk(const Nodes& nodes, Values current);
  Result<Values> step(const Node& node, const Values& current);
  Result<Values> field(const Node& node, const Values& current) const;
  static Result<Values> slice(const Node& node, const Values& current);
  Result<Values> unite(const Node& node, const Values& current);
  Result<Values> filter(const Node& node, const Values& current);
  void charge(std::size_t count) { visited_ += count; }

  bool allow_missing_keys_;
  std::size_t visited_ = 0;
};

}  // namespace moth::jsonpath

namespace moth {
struct JsonPath::Program {
  jsonpath::Segments segments;
};
}  // namespace moth

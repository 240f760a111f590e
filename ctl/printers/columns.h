#pragma once
// Columns: text with tabs to aligned columns, by the rules of Go's text/tabwriter, which kubectl
// prints with: a column is a run of consecutive lines that have a cell there, and its width is that
// of its widest cell. Pure.
#include <string>
#include <string_view>
#include <vector>

namespace moth::ctl {

struct ColumnRules {
  std::size_t min_width = 0;
  std::size_t padding = 2;
};

// Tables of `get`, and descriptions.
inline constexpr ColumnRules kTableRules{6, 3};
inline constexpr ColumnRules kDescribeRules{0, 2};
// `rollout history`, `top`.
inline constexpr ColumnRules kHistoryRules{0, 2};

std::string align_columns(std::string_view text, ColumnRules rules);

// Characters that a terminal shows for UTF-8 text, one for each code point.
std::size_t display_width(std::string_view text);

}  // namespace moth::ctl

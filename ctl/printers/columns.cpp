#include "ctl/printers/columns.h"

#include <algorithm>

namespace moth::ctl {
namespace {

using Line =
    std::vector<std::string_view>;  // the last cell ends the line, the others ended in a tab

class Aligner {
 public:
  Aligner(std::vector<Line> lines, ColumnRules rules) : lines_(std::move(lines)), rules_(rules) {}

  std::string run() {
    format(0, 0, lines_.size());
    return std::move(out_);
  }

 private:
  // Formats lines [from, to) whose columns left of `column` have their widths in widths_.
  void format(std::size_t column, std::size_t from, std::size_t to) {
    std::size_t written = from;
    for (std::size_t i = from; i < to; ++i) {
      if (column + 1 >= lines_[i].size()) continue;
      // A run of lines with a tab-ended cell in this column begins.
      write(written, i);
      std::size_t end = i;
      std::size_t width = rules_.min_width;
      for (; end < to && column + 1 < lines_[end].size(); ++end) {
        std::size_t needed = display_width(lines_[end][column]) + rules_.padding;
        width = std::max(width, needed);
      }
      widths_.push_back(width);
      format(column + 1, i, end);
      widths_.pop_back();
      written = end;
      i = end - 1;
    }
    write(written, to);
  }

  void write(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      const Line& line = lines_[i];
      for (std::size_t j = 0; j < line.size(); ++j) {
        out_ += line[j];
        if (j < widths_.size() && j + 1 < line.size())
          out_.append(widths_[j] - display_width(line[j]), ' ');
      }
      out_ += '\n';
    }
  }

  std::vector<Line> lines_;
  ColumnRules rules_;
  std::vector<std::size_t> widths_;
  std::string out_;
};

}  // namespace

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string align_columns(std::string_view text, ColumnRules rules) {
  std::vector<Line> lines;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    std::string_view rest = text.substr(0, end);
    Line line;
    for (auto tab = rest.find('\t'); tab != std::string_view::npos; tab = rest.find('\t')) {
      line.push_back(rest.substr(0, tab));
      rest.remove_prefix(tab + 1);
    }
    line.push_back(rest);
    lines.push_back(std::move(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return Aligner(std::move(lines), rules).run();
}

}  // namespace moth::ctl

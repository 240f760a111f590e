#include "ctl/printers/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/clock.h"
#include "api/base/json.h"
#include "api/machinery/jsonpath.h"
#include "api/machinery/time.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

std::string upper(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

// One line, and no control characters that could play with the terminal.
std::string clean(std::string text) {
  if (auto line = text.find_first_of("\n\r\f"); line != std::string::npos) {
    text.resize(line);
    text += "...";
  }
  std::string out;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += c == 0x1b ? "^[" : " ";
    else
      out += c;
  }
  return out;
}

std::string cell_text(const Json& cell) {
  if (cell.is_null()) return "";
  if (cell.is_string()) return clean(cell.get<std::string>());
  if (cell.is_array()) {
    std::string text;
    for (const Json& part : cell) text += (text.empty() ? "" : ",") + cell_text(part);
    return text;
  }
  return clean(jsonpath_value_text(cell));
}

const Json* metadata_of(const Json& row) {
  return find_path(row, "object", "metadata");
}

// A Table with NAME and AGE for objects of servers that make none.
Json plain_table(const Json& value) {
  Json rows = Json::array();
  auto add = [&](const Json& object) {
    const Json* metadata = find_member(object, "metadata");
    std::string created = metadata ? string_or(*metadata, "creationTimestamp") : "";
    rows.push_back({{"cells",
                     {metadata ? string_or(*metadata, "name") : "",
                      human_age_since(created, RealClock().wall())}},
                    {"object", object}});
  };
  if (const Json* items = find_member(value, "items"); items && items->is_array()) {
    for (const Json& item : *items) add(item);
  } else {
    add(value);
  }
  return {{"kind", "Table"},
          {"columnDefinitions",
           {{{"name", "Name"}, {"format", "name"}, {"priority", 0}},
            {{"name", "Age"}, {"priority", 0}}}},
          {"rows", std::move(rows)}};
}

bool one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

Colour ready_colour(std::string_view cell) {
  auto slash = cell.find('/');
  if (slash == std::string_view::npos) return Colour::kNone;
  return cell.substr(0, slash) == cell.substr(slash + 1) ? Colour::kNone : Colour::kYellow;
}

}  // namespace

Colour cell_colour(std::string_view header, std::string_view cell) {
  if (header == "READY") return ready_colour(cell);
  if (header == "TYPE") return cell == "Warning" ? Colour::kYellow : Colour::kNone;
  if (!one_of(header, {"STATUS", "PHASE", "REASON"})) return Colour::kNone;
  if (header == "REASON") {
    return one_of(cell, {"Failed", "FailedMount", "FailedScheduling", "BackOff", "Unhealthy",
                         "OOMKilling", "FailedCreate"})
               ? Colour::kRed
               : Colour::kNone;
  }
  if (one_of(cell, {"Running", "Ready", "Active", "Bound", "Available", "Completed", "Complete",
                    "Succeeded"}))
    return Colour::kGreen;
  if (one_of(cell, {"Error", "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "Failed",
                    "OOMKilled", "Evicted", "InvalidImageName", "CreateContainerConfigError",
                    "CreateContainerError", "RunContainerError", "StartError", "NotReady", "Lost",
                    "DeadlineExceeded", "ErrImageNeverPull"}))
    return Colour::kRed;
  for (std::string_view bad : {"Init:Error", "Init:CrashLoopBackOff", "Init:ErrImagePull",
                               "Init:ImagePullBackOff", "ExitCode:", "Signal:", "NotReady"}) {
    if (cell.starts_with(bad)) return Colour::kRed;
  }
  return cell.empty() || cell == "<none>" ? Colour::kNone : Colour::kYellow;
}

std::string labels_text(const Json* labels) {
  std::string text;
  if (labels && labels->is_object()) {
    for (const auto& [key, value] : labels->items()) {
      text += fmt::format("{}{}={}", text.empty() ? "" : ",", key,
                          value.is_string() ? value.get<std::string>() : "");
    }
  }
  return text.empty() ? "<none>" : text;
}

TablePrinter::TablePrinter(TableOptions options) : options_(std::move(options)) {}

void TablePrinter::read_columns(const Json& table) {
  const Json* columns = find_member(table, "columnDefinitions");
  if (!columns || !columns->is_array() || columns->empty()) return;
  headers_.clear();
  shown_.clear();
  for (std::size_t i = 0; i < columns->size(); ++i) {
    const Json& column = (*columns)[i];
    bool shown = options_.wide || int_or(column, "priority") == 0;
    shown_.push_back(shown);
    if (string_or(column, "format") == "name") name_column_ = i;
    if (shown) headers_.push_back(upper(string_or(column, "name")));
  }
}

TablePrinter::Row TablePrinter::header_row() const {
  Row row;
  if (options_.event_column) row.emplace_back("EVENT");
  if (options_.with_namespace) row.emplace_back("NAMESPACE");
  row.insert(row.end(), headers_.begin(), headers_.end());
  for (const std::string& label : options_.label_columns) {
    auto slash = label.rfind('/');
    row.push_back(upper(slash == std::string::npos ? label : label.substr(slash + 1)));
  }
  if (options_.show_labels) row.emplace_back("LABELS");
  return row;
}

TablePrinter::Row TablePrinter::body_row(const Json& row, std::string_view event) const {
  Row out;
  const Json* metadata = metadata_of(row);
  if (options_.event_column) out.emplace_back(event);
  if (options_.with_namespace) out.push_back(metadata ? string_or(*metadata, "namespace") : "");
  const Json* cells = find_member(row, "cells");
  for (std::size_t i = 0; cells && i < cells->size() && i < shown_.size(); ++i) {
    if (!shown_[i]) continue;
    std::string text = cell_text((*cells)[i]);
    if (i == name_column_ && !options_.name_prefix.empty())
      text = options_.name_prefix + "/" + text;
    out.push_back(std::move(text));
  }
  const Json* labels = metadata ? find_member(*metadata, "labels") : nullptr;
  for (const std::string& label : options_.label_columns)
    out.push_back(labels ? string_or(*labels, label) : "");
  if (options_.show_labels) out.push_back(labels_text(labels));
  return out;
}

std::string TablePrinter::layout(const std::vector<Row>& rows, bool first_is_header) {
  for (const Row& row : rows) {
    widths_.resize(std::max(widths_.size(), row.size()), kTableRules.min_width);
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      widths_[i] = std::max(widths_[i], display_width(row[i]) + kTableRules.padding);
  }
  Row names = header_row();
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Row& row = rows[r];
    for (std::size_t i = 0; i < row.size(); ++i) {
      Colour colour = Colour::kNone;
      if (options_.colours) {
        colour = first_is_header && r == 0 ? Colour::kBold
                 : i < names.size()        ? cell_colour(names[i], row[i])
                                           : Colour::kNone;
      }
      text += coloured(row[i], colour);
      if (i + 1 < row.size()) text.append(widths_[i] - display_width(row[i]), ' ');
    }
    text += '\n';
  }
  return text;
}

std::string TablePrinter::print(const Json& table, std::string_view event) {
  if (string_or(table, "kind") != "Table") return print(plain_table(table), event);
  read_columns(table);
  const Json* body = find_member(table, "rows");
  if (!body || !body->is_array() || body->empty()) return "";
  std::vector<Row> rows;
  bool with_header = options_.headers && !headers_printed_;
  if (with_header) rows.push_back(header_row());
  for (const Json& row : *body) rows.push_back(body_row(row, event));
  headers_printed_ = true;
  rows_ += body->size();
  return layout(rows, with_header);
}

}  // namespace moth::ctl

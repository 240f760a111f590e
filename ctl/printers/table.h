#pragma once
// Tables that the server made (meta.k8s.io/v1 Table), printed as kubectl prints them. Pure; one
// TablePrinter for each resource that is printed.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "ctl/cli/terminal.h"

namespace moth::ctl {

struct TableOptions {
  bool wide = false;
  bool headers = true;
  bool with_namespace = false;  // a NAMESPACE column first
  std::string name_prefix;      // "deployment.apps" when several types are printed
  bool show_labels = false;
  std::vector<std::string> label_columns;
  bool event_column = false;  // --output-watch-events
  bool colours = false;
};

// Prints tables of one resource, one after another (a watch): headers once, columns of the widths
// that were needed so far.
class TablePrinter {
 public:
  explicit TablePrinter(TableOptions options);

  // `event` is the type of a watch event, "" otherwise. Column definitions may be null after the
  // first table. An object or a list that is no Table gets the columns NAME and AGE.
  std::string print(const Json& table, std::string_view event = "");
  bool empty() const { return rows_ == 0; }

 private:
  using Row = std::vector<std::string>;
  void read_columns(const Json& table);
  Row header_row() const;
  Row body_row(const Json& row, std::string_view event) const;
  std::string layout(const std::vector<Row>& rows, bool first_is_header);

  TableOptions options_;
  Row headers_;              // of the visible columns of the server
  std::vector<bool> shown_;  // one for each column of the server
  std::size_t name_column_ = 0;
  std::vector<std::size_t> widths_;
  std::size_t rows_ = 0;
  bool headers_printed_ = false;
};

// The colour of a cell by the header of its column.
Colour cell_colour(std::string_view header, std::string_view cell);

// "a=b,c=d" or "<none>".
std::string labels_text(const Json* labels);

}  // namespace moth::ctl
